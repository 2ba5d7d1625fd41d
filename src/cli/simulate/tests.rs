use std::sync::Arc;

use super::run::history;
use crate::mapping::{Mappings, load};

fn people() -> Arc<Mappings> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/people.toml");
    load(vec![(path.to_owned(), std::fs::read_to_string(path).unwrap())]).unwrap().into()
}

#[test]
fn histories_end_well() {
    let mappings = people();
    let (first, count) = match std::env::var("SEED") {
        Ok(seed) => (seed.parse().unwrap(), 1),
        Err(_) => (0, 100),
    };
    let mut bad = 0;
    for seed in first..first + count {
        let told = history(seed, &mappings, count == 1);
        if !told.breaches.is_empty() {
            bad += 1;
            for line in &told.trace {
                println!("{line}");
            }
            println!(
                "seed {seed} ({} deeds, {} crashes): {:#?}",
                told.deeds, told.crashes, told.breaches
            );
        }
    }
    assert_eq!(bad, 0);
}

#[test]
fn the_same_seed_is_the_same_history() {
    let mappings = people();
    for seed in 0..5 {
        assert_eq!(history(seed, &mappings, false).digest, history(seed, &mappings, false).digest);
    }
}
