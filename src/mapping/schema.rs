//! The JSON Schema of a mapping file, for editors that know TOML.

use super::file::MappingFile;

/// The JSON Schema of a mapping file (draft 2020-12), with the documentation of every key.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(MappingFile);
    schema.insert("title".to_owned(), "A mapping file of Lockstep".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_described_and_no_other_is_allowed() {
        let schema = schema();
        let blocks: Vec<&serde_json::Value> = schema["$defs"]
            .as_object()
            .unwrap()
            .values()
            .chain([&schema])
            .filter(|block| block["additionalProperties"] == false)
            .collect();
        assert!(blocks.len() > 10, "{} blocks", blocks.len());
        for block in blocks {
            for (key, property) in block["properties"].as_object().unwrap() {
                assert!(property["description"].is_string(), "{key} of {block}");
            }
        }
        assert_eq!(
            schema["required"],
            serde_json::json!(["name", "hubspot", "salesforce"]),
            "what a file cannot do without"
        );
    }

    #[test]
    fn the_keys_are_those_that_the_reader_takes() {
        let schema = schema();
        let field = &schema["$defs"]["FieldFile"];
        assert_eq!(field["required"], serde_json::json!(["name", "type"]));
        assert!(field["properties"]["type"].is_object() && field["properties"]["r#type"].is_null());
        assert_eq!(
            schema["$defs"]["DirectionWord"]["oneOf"][1]["const"],
            serde_json::json!("to-salesforce")
        );
    }
}
