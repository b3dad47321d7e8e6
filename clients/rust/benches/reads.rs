//! Nanoseconds per read of a handle: `cargo bench`.

use std::hint::black_box;
use std::time::Instant;

use secretslots::{Fake, FakeSlots};

const ROUNDS: u64 = 200;
const READS_A_ROUND: u64 = 50_000;

fn main() {
    let slots: FakeSlots = (0..10).map(|slot| (slot * 100, format!("value {slot}"))).collect();
    let fake = Fake::new([("app/db", slots)]).expect("a well-formed fake");
    let handle = fake.set().handle("app/db").expect("it was declared");
    report("current()", |_| handle.current().expect("it has a value").slot());
    report("effective_at()", |t| handle.effective_at(t % 1_000).expect("it has a value").slot());
}

/// The best round: what the machine does besides only ever adds.
fn report(what: &str, read: impl Fn(u64) -> u64) {
    let round = |_| {
        let begun = Instant::now();
        for i in 0..READS_A_ROUND {
            black_box(read(black_box(i)));
        }
        begun.elapsed().as_secs_f64() * 1e9 / READS_A_ROUND as f64
    };
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let best = (0..if measuring { ROUNDS } else { 1 }).map(round).fold(f64::INFINITY, f64::min);
    println!("{what}: {best:.1} ns");
}
