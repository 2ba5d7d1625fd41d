//! Queries: sent whatever their length, and read to the end whatever the size of their pages.

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::soql::{Select, encoded_len};
use super::wire::{self, Composite, QueryPage, Row};
use super::{ApiError, Error, Salesforce, first_error, request_error};
use crate::platform::transport::{Answer, Call, Repeat};

/// A page's locator is forgotten after two days, or earlier where the user opens many.
pub(super) const LOST_LOCATOR: &str = "INVALID_QUERY_LOCATOR";

/// The longest address that is sent, in bytes. The platform allows 16,384 for the address and all
/// headers together, and a token can take two thousand.
const LONGEST_ADDRESS: usize = 12_000;

/// Everything but the unreserved characters of RFC 3986.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Text as a part of an address.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

/// Which rows a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Live ones.
    Live,
    /// Those in the recycle bin too.
    All,
}

impl Scope {
    const fn word(self) -> &'static str {
        match self {
            Self::Live => "query",
            Self::All => "queryAll",
        }
    }

    const fn route(self) -> &'static str {
        match self {
            Self::Live => "/services/data/{version}/query",
            Self::All => "/services/data/{version}/queryAll",
        }
    }
}

/// How many bytes of an address are left for the values of `query`, or nothing where the query is
/// so long without them that it has to go as a body.
pub(super) fn room(query: &Select) -> Option<usize> {
    let used = encoded_len(&query.text());
    (used < LONGEST_ADDRESS / 2).then(|| LONGEST_ADDRESS - used - 200)
}

impl Salesforce {
    /// The first page of `query`. The server chooses how many rows that is: fewer where they are
    /// wide.
    pub(super) async fn page(
        &self,
        query: &Select,
        scope: Scope,
        doing: &str,
    ) -> Result<(QueryPage, Answer), Error> {
        let path = self.path(&format!("/{}?q={}", scope.word(), encode(&query.text())));
        if path.len() <= LONGEST_ADDRESS {
            let answer = self.ask(self.get(scope.route(), path, doing)).await?;
            let page = self.shape(doing, &answer)?;
            return Ok((page, answer));
        }
        // A long query goes as a body: the composite resource carries the address inside its JSON.
        let body = serde_json::json!({
            "compositeRequest": [{"method": "GET", "url": path, "referenceId": "query"}]
        });
        let call = Call::send(
            &self.lane,
            Method::POST,
            "/services/data/{version}/composite",
            self.path("/composite"),
            &body,
            doing,
        )
        .map_err(|why| request_error(doing, why.to_string()))?;
        let answer = self.ask(call.repeat(Repeat::Safe)).await?;
        let composite: Composite = self.shape(doing, &answer)?;
        let Some(item) = composite.composite_response.into_iter().next() else {
            return Err(request_error(doing, "the answer holds no result".into()));
        };
        if item.http_status_code >= 400 {
            let body = item.body.to_string();
            let told = wire::errors(body.as_bytes()).into_iter().next().unwrap_or_default();
            return Err(self.dialect.error(doing, &answer, &told));
        }
        let page = serde_json::from_value(item.body)
            .map_err(|why| request_error(doing, format!("the rows are not as expected: {why}")))?;
        Ok((page, answer))
    }

    /// All rows of `query`, in the order of their ids unless it has a tail of its own.
    ///
    /// Further pages are fetched by locator; where one is forgotten, the query goes on behind the
    /// last id that was seen, not from the start.
    pub(super) async fn rows(
        &self,
        query: &Select,
        scope: Scope,
        doing: &str,
    ) -> Result<Vec<Row>, Error> {
        let mut rows: Vec<Row> = Vec::new();
        let mut page = self.page(query, scope, doing).await?.0;
        loop {
            rows.append(&mut page.records);
            let Some(next) = page.next.take().filter(|_| !page.done) else { return Ok(rows) };
            page = match self.next_page(next, doing).await? {
                Some(page) => page,
                None => {
                    let last = rows.last().and_then(|row| wire::text(row, "Id"));
                    let Some(last) = last else {
                        return Err(request_error(doing, "the query cannot be continued".into()));
                    };
                    let rest = query.clone().and(format!("Id > {}", super::soql::quote(last)));
                    self.page(&rest, scope, doing).await?.0
                }
            };
        }
    }

    /// The page that `next` leads to, or nothing where its locator is forgotten.
    async fn next_page(&self, next: String, doing: &str) -> Result<Option<QueryPage>, Error> {
        // The address is relative to the instance; an absolute one would send the token elsewhere.
        if !next.starts_with("/services/data/") {
            return Err(request_error(doing, "the next page has a foreign address".into()));
        }
        let route = "/services/data/{version}/query/{locator}";
        let answer = self.send(self.get(route, next, doing)).await?;
        if answer.status.is_success() {
            return self.shape(doing, &answer).map(Some);
        }
        let told: ApiError = first_error(&answer);
        if told.code == LOST_LOCATOR {
            return Ok(None);
        }
        Err(self.dialect.error(doing, &answer, &told))
    }
}
