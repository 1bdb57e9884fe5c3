//! Chance: the only place that draws random numbers, so that a simulation can be replayed from its seed.

use uuid::Uuid;

/// A source of random bytes.
pub trait Rng: Send + Sync {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// Draws shared by everything that holds an [`Rng`].
impl dyn Rng {
    /// A random 64-bit number.
    pub fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A random number below `bound`; 0 when `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        // Slightly uneven, which what is spread and jittered by it does not mind.
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }

    /// A random (version 4) identifier.
    pub fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// The operating system's generator, by way of the cryptography library.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    #[expect(
        clippy::expect_used,
        reason = "Without randomness nothing may go on: nonces and idempotency keys would repeat"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives random bytes");
    }
}
