use super::*;

#[test]
fn orders_are_read() {
    let order = |text: &str| text.parse::<FaultOrder>().map_err(|error| error.to_string());
    let table = [
        ("slow", Some(("slow", None, How::Next(1)))),
        ("slow=3", Some(("slow", None, How::Next(3)))),
        ("hubspot:slow=5%", Some(("slow", Some(Side::HubSpot), How::Each(0.05)))),
        ("expired-forever", Some(("expired-forever", None, How::Each(1.0)))),
        ("Salesforce: locked = 2", Some(("locked", Some(Side::Salesforce), How::Next(2)))),
        ("slow=101%", None),
        ("slow=often", None),
        ("sloow", None),
        ("oracle:slow", None),
    ];
    for (text, expected) in table {
        let expected = expected.map(|(name, side, how)| FaultOrder { name, side, how });
        assert_eq!(order(text).ok(), expected, "{text}");
    }
    insta::assert_snapshot!(order("slow=often").unwrap_err(), @"`often` says neither how many calls (as in 3) nor how likely (as in 5%)");
    insta::assert_snapshot!(order("oracle:slow").unwrap_err(), @"there is no side named `oracle`; write hubspot or salesforce before the colon");
}

#[test]
fn next_counts_down_and_each_rolls() {
    let mut faults = Faults::default();
    let mut random = fastrand::Rng::with_seed(1);
    faults.arm("unavailable", None, How::Next(2)).unwrap();
    let hits = |faults: &mut Faults, random: &mut fastrand::Rng, n: u32| {
        (0..n).filter(|_| faults.strikes(Fault::Unavailable, Side::HubSpot, random)).count()
    };
    assert_eq!(hits(&mut faults, &mut random, 5), 2);
    assert_eq!(faults.armed().len(), 1, "the other side's is still armed");
    faults.arm("unavailable", Some(Side::HubSpot), How::Each(0.25)).unwrap();
    let rolled = hits(&mut faults, &mut random, 4000);
    assert!((900..1100).contains(&rolled), "{rolled}");
    assert_eq!(faults.disarm("unavailable", None).unwrap(), 2);
    assert_eq!(hits(&mut faults, &mut random, 100), 0);
    assert_eq!(faults.struck()[&(Side::HubSpot, Fault::Unavailable)], 2 + rolled as u64);
}

#[test]
fn a_side_refuses_the_other_sides_faults() {
    let mut faults = Faults::default();
    let error = faults.arm("search-lag", Some(Side::Salesforce), How::Next(1)).unwrap_err();
    assert_eq!(error, FaultError::NotThere { name: "search-lag", side: Side::Salesforce });
    faults.arm("search-lag", None, How::Next(1)).unwrap();
    assert_eq!(faults.armed().len(), 1, "armed only where it is known");
}

#[test]
fn every_fault_is_in_the_registry_once() {
    let mut names: Vec<_> = FAULTS.iter().map(|spec| spec.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FAULTS.len());
    for spec in FAULTS {
        assert_eq!(spec.fault.name(), spec.name);
    }
}
