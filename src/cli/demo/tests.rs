//! The demo, played.

use super::*;
use crate::cli::output::When;

fn arguments() -> Arguments {
    Arguments { people: 60, seed: 1, seconds: 2, leads: None, in_process: true, keep: None }
}

fn silent() -> Output {
    Output::new(true, When::Never, true)
}

/// What must hold of every report, whatever happened.
fn balances(report: &Report) {
    let compared = &report.compared;
    let differ: u64 = compared.explained.values().sum();
    let unexplained = u64::try_from(compared.unexplained.len()).unwrap();
    assert_eq!(compared.fields, compared.equal + differ + unexplained);
    let active: u64 = report.links.values().map(|links| links.active).sum();
    assert!(compared.links > 0 && compared.links <= active);
    for (_, it) in report.sides.iter() {
        assert_eq!(it.calls, it.reads + it.writes + it.sign_ins);
        assert!(it.created + it.changed > 0 && it.writes > 0);
    }
    assert!(report.is_well(), "{:#?}\n{:#?}", compared.unexplained, report.last_pass);
}

#[tokio::test]
async fn both_sides_agree_after_a_day_of_edits_and_the_last_pass_writes_nothing() {
    let report = play(&silent(), &arguments()).await.unwrap();
    balances(&report);
    let kinds: std::collections::BTreeSet<_> = report.waiting.iter().map(|it| it.kind).collect();
    assert!(kinds.contains("match"), "{:#?}", report.waiting);
    assert!(report.waiting.iter().all(|it| !it.reason.is_empty() && !it.next.is_empty()));
    assert!(report.faults.failed_calls >= 3);
    assert!(report.deeds.len() > 15, "{:?}", report.deeds);
}
