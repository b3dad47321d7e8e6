//! Usage: generator DESCRIPTOR_SET OUT_DIR: writes OUT_DIR/secretslots.v1.rs.

mod redaction;

use std::{error::Error, fs, path::Path};

use prost::Message;

const PACKAGE: &str = "secretslots.v1";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(descriptors), Some(out), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: generator DESCRIPTOR_SET OUT_DIR".into());
    };
    let bytes = fs::read(descriptors)?;
    let set = prost_types::FileDescriptorSet::decode(bytes.as_slice())?;

    let redacted = redaction::redacted_messages(&bytes, PACKAGE)?;
    tonic_prost_build::configure()
        .out_dir(&out)
        .client_mod_attribute(".", "#[cfg(feature = \"client\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .skip_debug(redacted.iter().map(|message| message.path.as_str()))
        .compile_fds(set)?;

    let file = Path::new(&out).join(format!("{PACKAGE}.rs"));
    let mut code = fs::read_to_string(&file)?;
    for message in &redacted {
        code.push_str(&message.debug_impl());
    }
    fs::write(file, code)?;
    Ok(())
}
