//! The shipped mappings, and every kind of mistake.

use super::*;

fn shipped() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            (format!("mappings/{name}"), std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn the_shipped_mappings_load_without_a_finding() {
    let files = shipped();
    let count = files.len();
    let mappings = load(files).unwrap_or_else(|report| panic!("{}", report.plain()));
    assert_eq!(mappings.warnings.plain(), "");
    assert_eq!(mappings.list.len(), count);
}
