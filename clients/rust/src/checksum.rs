//! CRC32C (Castagnoli), which travels with every value.

use secretslots_stubs::v1;

use crate::error::{Code, Error, Result, reason};

const CRC32C: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    CRC32C.checksum(bytes)
}

/// A damaged value is refused, never handed out.
pub(crate) fn verify(name: &str, slot: u64, value: &[u8], expected: Option<u32>) -> Result<()> {
    if expected == Some(crc32c(value)) {
        return Ok(());
    }
    let message = format!("the value of slot {slot} of secret {name} arrived damaged (CRC32C)");
    Err(Error::new(Code::DataLoss, reason::DATA_LOSS, message).with("name", name).with("slot", slot.to_string()))
}

pub(crate) fn verify_slot(slot: &v1::LiveSlot) -> Result<()> {
    verify(&slot.name, slot.slot(), &slot.value, slot.crc32c)
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn it_is_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }
}
