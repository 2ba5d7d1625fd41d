use super::many::{Task, run};
use super::run::history;
use super::seams::{Keep, Plant};
use super::*;

fn task(first: u64, count: u64) -> Task {
    Task { first, count, jobs: 2, limit: None, keep: Keep::Nothing, plant: None }
}

/// A number from the environment: other seeds than those of every day, or more of them.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn histories_end_well() {
    let task = task(number("SEED", 0), number("HISTORIES", 1000));
    let keep = if task.count == 1 { Keep::Events } else { Keep::Nothing };
    let task = Task { keep, ..task };
    let sum = run(&task, &Shipped::load().unwrap(), |told| {
        for line in &told.trace {
            println!("{line}");
        }
        if keep != Keep::Nothing || !told.breaches.is_empty() {
            println!("{}", report(told));
        }
    });
    println!("{}", summary(&sum));
    assert_eq!(sum.failed, Vec::<u64>::new());
    assert_eq!(sum.histories, task.count);
    assert!(sum.deeds > 0 && sum.writes > 0);
    assert!((sum.deliveries > 0 && sum.events > 0) || sum.histories < 10);
}

#[test]
fn the_same_seed_is_the_same_history() {
    let shipped = Shipped::load().unwrap();
    let one = run(&task(0, 6), &shipped, |_| {});
    let other = run(&Task { jobs: 1, ..task(0, 6) }, &shipped, |_| {});
    assert_eq!(one.digest, other.digest);
    assert_ne!(one.digest, run(&task(6, 6), &shipped, |_| {}).digest);
}

#[test]
fn planted_bugs_are_found() {
    let shipped = Shipped::load().unwrap();
    for (plant, within) in [(Plant::LoseTail, 10), (Plant::RepeatLate, 20), (Plant::ForgetSync, 10)]
    {
        let found = (0..within)
            .find(|seed| !history(*seed, &shipped, Keep::Nothing, Some(plant)).breaches.is_empty());
        println!("{plant:?} is found by seed {found:?}");
        assert!(found.is_some(), "{plant:?} was not found in {within} histories");
    }
}
