//! Debug for messages with `[debug_redact = true]` fields: prost derives one that prints the values, and its own
//! descriptor types do not know the option, so the few descriptor fields needed are declared here.

use std::fmt::Write as _;

use prost::Message;

#[derive(Message)]
struct FileSet {
    #[prost(message, repeated, tag = "1")]
    files: Vec<File>,
}

#[derive(Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<MessageType>,
}

#[derive(Message)]
struct MessageType {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Field>,
    #[prost(message, repeated, tag = "8")]
    oneofs: Vec<Oneof>,
}

#[derive(Message)]
struct Oneof {}

#[derive(Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "5")]
    kind: i32,
    #[prost(message, optional, tag = "8")]
    options: Option<Options>,
    #[prost(bool, tag = "17")]
    proto3_optional: bool,
}

#[derive(Message)]
struct Options {
    #[prost(bool, tag = "16")]
    debug_redact: bool,
}

const KIND_ENUM: i32 = 14;

pub struct RedactedMessage {
    /// As prost's matchers want it: `.package.Name`.
    pub path: String,
    message: MessageType,
}

/// The messages of the package that have at least one redacted field of their own.
pub fn redacted_messages(descriptor_set: &[u8], package: &str) -> Result<Vec<RedactedMessage>, String> {
    let set = FileSet::decode(descriptor_set).map_err(|error| error.to_string())?;
    let messages = set.files.into_iter().filter(|file| file.package == package).flat_map(|file| file.messages);
    let redacted = messages.filter(|message| message.fields.iter().any(is_redacted));
    redacted
        .map(|message| {
            let real_oneofs = message.oneofs.len() > message.fields.iter().filter(|f| f.proto3_optional).count();
            if real_oneofs {
                return Err(format!("{}: a redacted message with a oneof is not supported", message.name));
            }
            Ok(RedactedMessage { path: format!(".{package}.{}", message.name), message })
        })
        .collect()
}

fn is_redacted(field: &Field) -> bool {
    field.options.as_ref().is_some_and(|options| options.debug_redact)
}

impl RedactedMessage {
    pub fn debug_impl(&self) -> String {
        let name = &self.message.name;
        let mut fields = String::new();
        for field in &self.message.fields {
            let shown = match (is_redacted(field), field.kind) {
                (true, _) => "&format_args!(\"[secret]\")".to_owned(),
                (false, KIND_ENUM) => format!("&self.{}()", field.name),
                (false, _) => format!("&self.{}", field.name),
            };
            writeln!(fields, "            .field(\"{}\", {shown})", field.name).expect("a String takes all");
        }
        format!(
            "/// Values and tokens do not print.\n\
             impl ::core::fmt::Debug for {name} {{\n    \
                 fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\n        \
                     f.debug_struct(\"{name}\")\n{fields}            .finish()\n    }}\n}}\n"
        )
    }
}
