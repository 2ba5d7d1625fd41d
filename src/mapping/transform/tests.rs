//! Every transform by example, and its law by random values.

use proptest::prelude::*;

use super::*;
use crate::record::Number;

fn step(name: &str, argument: Argument) -> Step {
    let transform = by_name(name).unwrap();
    (transform.accepts)(&argument).unwrap();
    Step { transform, argument }
}

fn text(argument: &str) -> Argument {
    Argument::Text(argument.to_owned())
}

/// The transform with the argument that the reference shows.
fn sample(transform: &'static Transform) -> Step {
    let example = transform.example;
    let argument = match transform.takes {
        Takes::Nothing => Argument::Nothing,
        Takes::Number => Argument::Number(example.parse().unwrap()),
        Takes::Text => text(example.trim_matches('"')),
    };
    step(transform.name, argument)
}

#[test]
fn texts() {
    for (name, argument, found, right) in [
        ("trim", Argument::Nothing, "  Ada ", "Ada"),
        ("trim", Argument::Nothing, "   ", ""),
        ("collapse", Argument::Nothing, " Ada \t  King\n", "Ada King"),
        ("lower", Argument::Nothing, "Ada@Example.COM", "ada@example.com"),
        ("upper", Argument::Nothing, "straße", "STRASSE"),
        ("truncate", Argument::Number(4.0), "abc def", "abc"),
        ("truncate", Argument::Number(4.0), "äöüßx", "äöüß"),
        ("digits", Argument::Nothing, "DE 811-907", "811907"),
        ("phone", text("49"), "(030) 123-45", "+493012345"),
        ("phone", text("49"), "0049 30 12345", "+493012345"),
        ("phone", text("49"), "+49 (0)30 12345 ext. 7", "+493012345"),
        ("phone", text("1"), "415 555 0100", "+14155550100"),
        ("phone", text("49"), "unknown", "unknown"),
        ("domain", Argument::Nothing, "https://www.Example.com:8080/about?x#y", "example.com"),
        ("domain", Argument::Nothing, "Ada@example.com", "example.com"),
        ("company_name", Argument::Nothing, "ACME Holding, Inc.", "acme holding"),
        ("company_name", Argument::Nothing, "Co.", "co"),
        ("default", text("Other"), "", "Other"),
        ("placeholder", text("-"), "-", ""),
        ("prefix", text("HS-"), "HS-42", "42"),
        ("prefix", text("HS-"), "42", "42"),
        ("suffix", text("!"), "Hi!", "Hi"),
    ] {
        let read = step(name, argument).read(Value::text(found)).unwrap();
        assert_eq!(read, Value::text(right), "{name} of {found:?}");
    }
}

#[test]
fn other_values() {
    let number = |number: f64| Value::Number(Number::new(number).unwrap());
    let day = Value::Date(jiff::civil::date(2026, 5, 2));
    let moment = |text: &str| Value::date_time(text.parse().unwrap());
    for (step, found, right) in [
        (step("round", Argument::Number(2.0)), number(12.344), number(12.34)),
        (step("round", Argument::Number(0.0)), number(-0.4), number(0.0)),
        (step("scale", Argument::Number(100.0)), number(19.99), number(1999.0)),
        (step("number_text", Argument::Nothing), Value::text(" 42 "), number(42.0)),
        (step("yes_no", text("Ja/Nein")), Value::text("nein"), Value::Bool(false)),
        (step("day_in", text("Europe/Berlin")), moment("2026-05-01T22:30:00Z"), day.clone()),
    ] {
        assert_eq!(step.read(found).unwrap(), right, "{step:?}");
    }
    let berlin = step("day_in", text("Europe/Berlin"));
    assert_eq!(berlin.write(day).unwrap(), moment("2026-05-01T22:00:00Z"));
    let yes = step("yes_no", text("Ja/Nein"));
    assert_eq!(yes.write(Value::Bool(true)).unwrap(), Value::text("Ja"));
    let error = yes.read(Value::text("Yes")).unwrap_err();
    assert_eq!(error, r#""Yes" is neither "Ja" nor "Nein""#);
}

#[test]
fn arguments_are_looked_at() {
    for (name, argument, message) in [
        (
            "truncate",
            Argument::Number(0.0),
            "the number of characters to keep is a whole number above 0",
        ),
        ("round", Argument::Number(1.5), "the number of decimals is a whole number from 0 to 9"),
        ("scale", Argument::Number(0.0), "a factor is a number between 0.0001 and 10000"),
        ("phone", text("0049"), "a country code is one to three digits, such as 49"),
        ("placeholder", text(" "), "what stands for a blank is a text that is not blank"),
        ("prefix", text(""), "there is nothing to add or take away in empty text"),
        ("yes_no", text("Ja"), "name the words for yes and no with a stroke between: Yes/No"),
        (
            "day_in",
            text("Berlin"),
            r#"there is no time zone "Berlin"; it is a name such as Europe/Berlin or UTC"#,
        ),
    ] {
        let accepts = by_name(name).unwrap().accepts;
        assert_eq!(accepts(&argument), Err(message.to_owned()), "{name}");
    }
}

#[test]
fn the_registry_is_sound() {
    let mut names: Vec<_> = REGISTRY.iter().map(|transform| transform.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), REGISTRY.len(), "names are unique");
    for transform in REGISTRY {
        let _ = sample(transform);
        assert!(!transform.suits.is_empty() && !transform.line.is_empty());
        assert!(transform.long.ends_with('.'), "{}", transform.name);
    }
}

/// A value that a field of the type `word` can hold.
fn of_type(word: &str) -> BoxedStrategy<Value> {
    let plain = match word {
        "text" | "choice" => prop_oneof![
            any::<String>().prop_map(Value::text),
            "[ +()0-9a-zA-Z./:@-]{0,24}".prop_map(Value::text),
        ]
        .boxed(),
        "number" => (-1_000_000_000i32..1_000_000_000)
            .prop_map(|cents| Value::Number(Number::new(f64::from(cents) / 100.0).unwrap()))
            .boxed(),
        "yes-no" => any::<bool>().prop_map(Value::Bool).boxed(),
        "date" => (0i32..40_000)
            .prop_map(|days| {
                Value::Date(jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(days))
            })
            .boxed(),
        other => panic!("no values for {other}"),
    };
    prop_oneof![1 => Just(Value::Blank), 9 => plain].boxed()
}

fn step_and_value(normaliser: bool) -> impl Strategy<Value = (Step, Value)> {
    let some: Vec<&'static Transform> = REGISTRY
        .iter()
        .copied()
        .filter(|transform| transform.is_normaliser() == normaliser)
        .collect();
    (0..some.len()).prop_flat_map(move |place| {
        let transform = some[place];
        (Just(sample(transform)), of_type(transform.suits[0]))
    })
}

#[test]
fn a_domain_is_found_in_whatever_a_website_field_holds() {
    let read = |text: &str| step("domain", Argument::Nothing).read(Value::text(text)).unwrap();
    for website in [
        "acme.com",
        "Acme.COM",
        "www.acme.com",
        "WWW.Acme.com.",
        "http://acme.com",
        "https://www.Acme.com:443/about?x",
        "https://www.acme.com/a:b@c/d?e=https://other.example/#f",
        "https://user:secret@acme.com:8443",
        "HTTPS://ACME.COM/#top",
        "//acme.com/about",
        "acme.com/about",
        "acme.com:8080",
        "acme.com?utm_source=x",
        "acme.com#contact",
        "http:acme.com",
        "https:/acme.com",
        "https:\\\\acme.com\\about",
        "ftp://acme.com/file",
        "acme.com/?next=https://other.example",
        " https://acme.com ",
        "mailto:sales@acme.com",
        "sales@acme.com",
        "http://www.acme.com.:80/",
        "https://ＡＣＭＥ.com",
        "https://acme%2ecom/",
    ] {
        assert_eq!(read(website), Value::text("acme.com"), "{website}");
    }
    for (website, domain) in [
        ("https://shop.acme.co.uk/", "shop.acme.co.uk"),
        ("https://www.Müller.example/über-uns", "xn--mller-kva.example"),
        ("müller.example", "xn--mller-kva.example"),
        ("xn--mller-kva.example", "xn--mller-kva.example"),
        ("info@MÜLLER.example", "xn--mller-kva.example"),
        ("localhost:3000", "localhost"),
        ("http://192.0.2.7:8080/x", "192.0.2.7"),
        // What is no address is left to be read by people.
        ("42", "42"),
        ("unknown", "unknown"),
        ("n. a.", "n. a"),
        ("www.", "www"),
        ("https://", ""),
        ("-", "-"),
        ("", ""),
    ] {
        assert_eq!(read(website), Value::text(domain), "{website}");
    }
}

#[test]
fn a_domain_is_looked_for_as_people_write_it() {
    let spellings = (domain::DOMAIN.spellings.unwrap())("acme.example");
    let unicode = (domain::DOMAIN.spellings.unwrap())("xn--mller-kva.example");
    for usual in ["xn--mller-kva.example", "https://www.müller.example/", "müller.example"] {
        assert!(unicode.contains(&usual.to_owned()), "{usual}: {unicode:?}");
    }
    for usual in [
        "acme.example",
        "www.acme.example",
        "http://acme.example",
        "https://acme.example/",
        "https://www.acme.example",
        "https://www.acme.example/",
    ] {
        assert!(spellings.contains(&usual.to_owned()), "{usual}: {spellings:?}");
    }
}

proptest! {
    #[test]
    fn a_spelling_is_read_as_the_value((step, value) in step_and_value(true)) {
        if let (Some(spell), Value::Text(text)) =
            (step.transform.spellings, step.read(value).unwrap())
        {
            for spelling in spell(&text) {
                let read = step.read(Value::text(&spelling)).unwrap();
                prop_assert_eq!(read, Value::text(&text), "{}", spelling);
            }
        }
    }

    #[test]
    fn a_normaliser_leaves_its_own_result((step, value) in step_and_value(true)) {
        let once = step.read(value).unwrap();
        prop_assert_eq!(step.read(once.clone()).unwrap(), once);
    }

    #[test]
    fn a_pair_reads_what_it_wrote((step, value) in step_and_value(false)) {
        let written = step.write(value.clone()).unwrap();
        prop_assert_eq!(step.read(written).unwrap(), value);
    }

    #[test]
    fn a_scale_is_undone(
        cents in -1_000_000_000i32..1_000_000_000,
        factor in 1u32..100_000_000,
    ) {
        let step = step("scale", Argument::Number(f64::from(factor) / 10_000.0));
        let value = Value::Number(Number::new(f64::from(cents) / 100.0).unwrap());
        prop_assert_eq!(step.read(step.write(value.clone()).unwrap()).unwrap(), value);
    }
}
