//! A long text's change as a difference of lines.

/// The difference between two texts as a unified diff without context, with the SHA-256 of the new
/// text in its head, if it is shorter than the new text.
pub(super) fn unified(old: &str, new: &str) -> Option<String> {
    let (before, after): (Vec<&str>, Vec<&str>) =
        (old.split('\n').collect(), new.split('\n').collect());
    let common =
        |a: &mut dyn Iterator<Item = (&&str, &&str)>| a.take_while(|(old, new)| old == new).count();
    let start = common(&mut before.iter().zip(&after));
    let most = before.len().min(after.len()) - start;
    let end = common(&mut before.iter().rev().zip(after.iter().rev())).min(most);
    let gone = &before[start..before.len() - end];
    let come = &after[start..after.len() - end];
    let digest = ring::digest::digest(&ring::digest::SHA256, new.as_bytes());
    let sha: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut out = format!(
        "--- \n+++ {sha}\n@@ -{},{} +{},{} @@",
        start + 1,
        gone.len(),
        start + 1,
        come.len()
    );
    for (mark, lines) in [('-', gone), ('+', come)] {
        for line in lines {
            out.push('\n');
            out.push(mark);
            out.push_str(line);
        }
    }
    (out.len() < new.len()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_of_text_and_difference_is_told() {
        let line = "a line of some length that is repeated often enough";
        let old = format!("first\nsecond\n{}", [line; 30].join("\n"));
        let new = old.replacen("second", "2nd", 1);
        let diff = unified(&old, &new).unwrap();
        let sha = diff.lines().nth(1).unwrap();
        assert_eq!(sha.len(), "+++ ".len() + 64);
        assert_eq!(diff.replace(sha, "+++ SHA"), "--- \n+++ SHA\n@@ -2,1 +2,1 @@\n-second\n+2nd");
        assert_eq!(unified("", "short"), None);
        assert_eq!(unified("all new", &line.repeat(30)), None);
        let longer = format!("{old}\n{line}");
        assert!(unified(&old, &longer).unwrap().ends_with(&format!("@@ -33,0 +33,1 @@\n+{line}")));
    }
}
