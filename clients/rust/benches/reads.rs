//! Nanoseconds per read of a handle: `cargo bench`.

use std::hint::black_box;
use std::time::Instant;

use secretslots::{Fake, FakeSlots};

const READS: u64 = 20_000_000;

fn main() {
    let slots: FakeSlots = (0..10).map(|slot| (slot * 100, format!("value {slot}"))).collect();
    let fake = Fake::new([("app/db", slots)]).expect("a well-formed fake");
    let handle = fake.set().handle("app/db").expect("it was declared");
    report("current()", |_| handle.current().expect("it has a value").slot());
    report("effective_at()", |t| handle.effective_at(t % 1_000).expect("it has a value").slot());
}

fn report(what: &str, read: impl Fn(u64) -> u64) {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let begun = Instant::now();
        for i in 0..READS / 3 {
            black_box(read(black_box(i)));
        }
        best = best.min(begun.elapsed().as_secs_f64() * 1e9 / (READS / 3) as f64);
    }
    println!("{what}: {best:.1} ns");
}
