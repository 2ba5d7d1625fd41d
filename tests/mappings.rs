//! The shipped mappings do what their examples say.

use lockstep::mapping::load;
use lockstep::reconcile::example;

#[test]
fn the_examples_of_the_shipped_mappings_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    let mappings = load(files).unwrap_or_else(|report| panic!("{}", report.plain()));
    let mut told = String::new();
    for mapping in &mappings.list {
        assert!(!mapping.examples.is_empty(), "{} has no example", mapping.name);
        for one in &mapping.examples {
            for mismatch in example::run(mapping, one) {
                told.push_str(&one.finding(mismatch).plain());
                told.push('\n');
            }
        }
    }
    assert!(told.is_empty(), "{told}");
}
