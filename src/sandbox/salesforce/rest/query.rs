//! Queries and their pages.

use serde_json::{Value, json};

use super::Answer;
use super::call::{Call, Reply};
use crate::sandbox::salesforce::refusal::{Code, Refusal};
use crate::sandbox::salesforce::soql::{Bound, Found};
use crate::sandbox::salesforce::table::Record;
use crate::sandbox::salesforce::world::Org;

impl Org {
    pub(super) fn rest_query(&mut self, call: &Call, all: bool) -> Answer {
        let Some(text) = call.param("q") else {
            return Err(Refusal::call(Code::MalformedQuery, "A query string has to be specified"));
        };
        let bound = self.prepare(text, call.now)?;
        if call.param("columns").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
            return Ok(Reply::ok(self.column_metadata(&bound)));
        }
        let rows = match self.run(&bound, all) {
            Found::Count(count) => {
                return Ok(Reply::ok(json!({"totalSize": count, "done": true, "records": []})));
            }
            Found::Aggregates(rows) => {
                if rows.len() > 2000 {
                    let message = "Aggregate query does not support queryMore(), use LIMIT to restrict the \
                                   results to a single batch";
                    return Err(Refusal::call(Code::ExceededIdLimit, message));
                }
                return Ok(Reply::ok(
                    json!({"totalSize": rows.len(), "done": true, "records": rows}),
                ));
            }
            Found::Records(rows) => rows,
        };
        let page = self.page_size(call, &bound);
        if rows.len() <= page {
            return Ok(Reply::ok(self.page(call, &bound, &rows, 0, page, "")));
        }
        let locator = self.ids.allocate("0r8").to_string();
        let body = self.page(call, &bound, &rows, 0, page, &locator);
        self.cursors.open(locator, call.now, bound, rows, page);
        Ok(Reply::ok(body))
    }

    /// A wish of the caller, shrunk as soon as a long text is selected.
    fn page_size(&self, call: &Call, bound: &Bound) -> usize {
        let wish = call
            .option("sforce-query-options", "batchSize")
            .and_then(|v| v.parse::<usize>().ok())
            .map_or(self.settings.page_size, |n| n.clamp(200, 2000));
        let most = if bound.has_long_text() {
            self.settings.long_text_page_size
        } else {
            self.settings.page_size
        };
        wish.min(most).max(1)
    }

    fn page(
        &self,
        call: &Call,
        bound: &Bound,
        rows: &[std::sync::Arc<Record>],
        from: usize,
        page: usize,
        locator: &str,
    ) -> Value {
        let to = rows.len().min(from.saturating_add(page));
        let records: Vec<Value> =
            rows[from.min(to)..to].iter().map(|r| self.render(bound, r, &call.version)).collect();
        if to == rows.len() {
            return json!({"totalSize": rows.len(), "done": true, "records": records});
        }
        json!({
            "totalSize": rows.len(),
            "done": false,
            "nextRecordsUrl": format!("/services/data/{}/query/{locator}-{to}", call.version),
            "records": records,
        })
    }

    pub(super) fn rest_query_more(&mut self, call: &Call, text: &str) -> Answer {
        let invalid = || Refusal::call(Code::InvalidQueryLocator, "invalid query locator");
        let (locator, from) = text.rsplit_once('-').ok_or_else(invalid)?;
        let from: usize = from.parse().map_err(|_| invalid())?;
        if call.cut_locator {
            self.cursors.close(locator);
        }
        let cursor = self.cursors.get(locator, call.now).ok_or_else(invalid)?;
        if from > cursor.rows.len() {
            return Err(invalid());
        }
        Ok(Reply::ok(self.page(call, &cursor.bound, &cursor.rows, from, cursor.page, locator)))
    }

    /// The Tooling API, as far as it tells what is selected for change data capture. To a user who
    /// may not view the setup there is no such object.
    pub(super) fn tooling_query(&self, call: &Call) -> Answer {
        const OBJECT: &str = "PlatformEventChannelMember";
        let text = call.param("q").unwrap_or_default();
        if !text.split_whitespace().any(|word| word == OBJECT) || text.contains("WHERE") {
            return Ok(Reply::not_modelled());
        }
        if self.bus.selections_hidden {
            let message = format!("sObject type '{OBJECT}' is not supported.");
            return Err(Refusal::call(Code::InvalidType, message));
        }
        let records: Vec<Value> = self
            .bus
            .selections()
            .map(|(channel, event)| {
                json!({
                    "attributes": {"type": OBJECT},
                    "EventChannel": channel,
                    "SelectedEntity": event,
                })
            })
            .collect();
        Ok(Reply::ok(json!({"totalSize": records.len(), "done": true, "records": records})))
    }

    /// Forgets every open cursor: the next page of each is refused with `INVALID_QUERY_LOCATOR`.
    pub fn expire_locators(&mut self) {
        self.cursors.clear();
    }
}
