//! Randomness from the operating system.

use ring::rand::{SecureRandom as _, SystemRandom};

pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// Uniform in 0 .. 1.
pub(crate) fn fraction() -> f64 {
    let bits = u64::from_le_bytes(bytes()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

/// `N` random bytes as lowercase hex.
pub(crate) fn hex<const N: usize>() -> String {
    bytes::<N>().iter().map(|byte| format!("{byte:02x}")).collect()
}
