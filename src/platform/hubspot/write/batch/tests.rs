use serde_json::{Value, json};

use super::*;

/// An id and its properties.
type Short<'a> = (&'a str, &'a [(&'a str, &'a str)]);

fn items(values: &[Short<'_>]) -> Vec<Item> {
    let item = |(place, (id, properties)): (usize, &Short<'_>)| Item {
        place,
        id: (*id).to_owned(),
        properties: properties.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
    };
    values.iter().enumerate().map(item).collect()
}

fn ids(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.id.as_str()).collect()
}

fn error(value: Value) -> ErrorJson {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_rejected_batch_falls_into_the_parts_that_the_error_names() {
    let four = || {
        items(&[
            ("1", &[("stage", "lead"), ("name", "A")]),
            ("2", &[("stage", "LEAD")]),
            ("3", &[("name", "LEADER")]),
            ("4", &[("old", "x"), ("stage", "lead")]),
        ])
    };
    let detail = |code: &str, name: &str, message: &str| {
        error(json!({"category": "VALIDATION_ERROR", "errors": [
            {"code": code, "message": message, "context": {"propertyName": [name]}}]}))
    };
    for (error, hopeless, suspects, rest) in [
        // Every record with this property is refused: no need to try.
        (detail("PROPERTY_DOESNT_EXIST", "old", ""), vec!["4"], vec![], vec!["1", "2", "3"]),
        // The message quotes the value.
        (
            detail("INVALID_OPTION", "stage", "LEAD nicht erlaubt: [lead]"),
            vec![],
            vec!["1", "2", "4"],
            vec!["3"],
        ),
        (
            detail("INVALID_OPTION", "stage", "LEAD nicht erlaubt"),
            vec![],
            vec!["2"],
            vec!["1", "3", "4"],
        ),
        // Nothing to go by: halves.
        (detail("INVALID_OPTION", "other", "?"), vec![], vec!["3", "4"], vec!["1", "2"]),
        (error(json!({"category": "CONFLICT"})), vec![], vec!["3", "4"], vec!["1", "2"]),
    ] {
        let parts = split(four(), &error);
        assert_eq!(
            (ids(&parts.hopeless), ids(&parts.suspects), ids(&parts.rest)),
            (hopeless, suspects, rest)
        );
    }
}

/// The outcomes as short words, and who is to be sent again.
fn joined(kind: Kind, items: &[Item], answer: Value) -> (Vec<String>, Vec<usize>) {
    let group = Group { object: "contacts".into(), kind };
    let batch: BatchJson = serde_json::from_value(answer).unwrap();
    let Sent::Answered(outcomes, alone) = join(&group, items, batch, 207, "writing") else {
        panic!("a batch is always answered");
    };
    let word = |(place, outcome): (usize, Outcome)| match outcome {
        Outcome::Done { id, created, .. } => format!("{place} done {id} {created}"),
        Outcome::Refused(refusal) => format!("{place} refused {}", refusal.code),
        Outcome::NotDone(_) => format!("{place} not done"),
        Outcome::Late { .. } => format!("{place} late"),
        Outcome::Unknown(_) => format!("{place} unknown"),
    };
    (outcomes.into_iter().map(word).collect(), alone.iter().map(|item| item.place).collect())
}

#[test]
fn results_find_their_records_in_any_order() {
    let two = items(&[("1", &[("k", "x")]), ("2", &[("k", "y")])]);
    let keyed =
        items(&[("A@x.com", &[("email", "A@x.com")]), ("b@x.com", &[("email", "b@x.com")])]);
    let by_email = || Kind::Upsert("email".into());
    for (kind, items, answer, outcomes, alone) in [
        (
            Kind::Update,
            &two,
            json!({"results": [{"id": "2"}, {"id": "1"}]}),
            vec!["0 done 1 false", "1 done 2 false"],
            vec![],
        ),
        // One record is missing from results and errors: nobody knows.
        (
            Kind::Update,
            &two,
            json!({"results": [{"id": "2"}]}),
            vec!["0 unknown", "1 done 2 false"],
            vec![],
        ),
        (
            Kind::Update,
            &two,
            json!({"results": [{"id": "2"}], "errors": [{"category": "OBJECT_NOT_FOUND", "context": {"ids": ["1"]}}]}),
            vec!["0 refused OBJECT_NOT_FOUND", "1 done 2 false"],
            vec![],
        ),
        // One error without a name and one record without a result belong together.
        (
            Kind::Update,
            &two,
            json!({"results": [{"id": "2"}], "errors": [{"category": "VALIDATION_ERROR"}]}),
            vec!["0 refused VALIDATION_ERROR", "1 done 2 false"],
            vec![],
        ),
        (
            Kind::Update,
            &two,
            json!({"results": [], "errors": [{"category": "VALIDATION_ERROR"}]}),
            vec![],
            vec![0, 1],
        ),
        (
            Kind::Update,
            &two,
            json!({"results": [{"id": "1"}], "errors": [{"category": "RATE_LIMITS", "context": {"ids": ["2"]}}]}),
            vec!["0 done 1 false", "1 not done"],
            vec![],
        ),
        // By key, without regard to case; by trace id before that.
        (
            by_email(),
            &keyed,
            json!({"results": [{"id": "8", "new": true, "properties": {"email": "b@x.com"}},
                {"id": "9", "new": false, "properties": {"email": "a@x.com"}}]}),
            vec!["0 done 9 false", "1 done 8 true"],
            vec![],
        ),
        (
            by_email(),
            &keyed,
            json!({"results": [{"id": "8", "objectWriteTraceId": "0", "properties": {"email": "b@x.com"}}],
                "errors": [{"category": "CONFLICT", "context": {"objectWriteTraceId": ["1"], "existingId": ["5"]}}]}),
            vec!["0 done 8 false", "1 refused CONFLICT"],
            vec![],
        ),
        // A contact that was found by another of its addresses.
        (
            by_email(),
            &keyed,
            json!({"results": [{"id": "8", "properties": {"email": "b@x.com"}},
                {"id": "9", "properties": {"email": "first@x.com"}}]}),
            vec!["0 done 9 false", "1 done 8 false"],
            vec![],
        ),
        // Two of them: which is which is not told.
        (
            by_email(),
            &keyed,
            json!({"results": [{"id": "8", "properties": {"email": "first@x.com"}},
                {"id": "9", "properties": {"email": "second@x.com"}}]}),
            vec!["0 unknown", "1 unknown"],
            vec![],
        ),
    ] {
        let found = joined(kind, items, answer.clone());
        assert_eq!(found, (outcomes.into_iter().map(str::to_owned).collect(), alone), "{answer}");
    }
}

#[test]
fn only_an_error_about_records_takes_a_batch_apart() {
    let group = Group { object: "contacts".into(), kind: Kind::Update };
    let two = items(&[("1", &[("k", "x")]), ("2", &[("k", "y")])]);
    let sent = |status: u16, body: &'static str| {
        let answer = Answer {
            status: status.try_into().unwrap(),
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::from(body),
        };
        match read_answer(&group, &two, &answer, "writing") {
            Sent::Rejected(..) => "rejected",
            Sent::Failed(failure) if failure.effect == Effect::None => "not done",
            Sent::Failed(_) => "unclear",
            Sent::Answered(..) => "answered",
        }
    };
    for (status, body, word) in [
        (400, r#"{"category":"VALIDATION_ERROR"}"#, "rejected"),
        (409, r#"{"category":"CONFLICT"}"#, "rejected"),
        (400, r#"{"message":"Unable to infer object type from: butterflies"}"#, "not done"),
        (404, "<html>", "not done"),
        (200, r#"{"results":[]}"#, "answered"),
        (200, r#"[1]"#, "unclear"),
    ] {
        assert_eq!(sent(status, body), word, "{status} {body}");
    }
}
