//! From words to a query.

use super::SoqlError;
use super::ast::{Cond, FieldSet, Function, Item, Literal, Op, Order, Path, Query, Subject};
use super::lex::{Token, Word, lex};
use crate::sandbox::salesforce::time;

/// Words that cannot be an alias, because a clause begins with them.
const CLAUSES: &[&str] = &[
    "FROM", "WHERE", "WITH", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FOR", "USING", "ALL",
    "UPDATE",
];

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Query, SoqlError> {
    let mut parser = Parser { text, tokens: lex(text)?, at: 0 };
    let query = parser.query()?;
    match parser.peek() {
        Word::End => Ok(query),
        _ => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

type Parsed<T> = Result<T, SoqlError>;

impl Parser<'_> {
    fn peek(&self) -> &Word {
        self.tokens.get(self.at).map_or(&Word::End, |t| &t.word)
    }

    fn peek_second(&self) -> &Word {
        self.tokens.get(self.at + 1).map_or(&Word::End, |t| &t.word)
    }

    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |t| t.at)
    }

    fn next(&mut self) -> Word {
        let word = self.peek().clone();
        self.at += 1;
        word
    }

    fn unexpected(&self) -> SoqlError {
        let message = format!("unexpected token: '{}'", self.peek().shown());
        SoqlError::malformed(self.text, self.place(), message)
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Word::Name(name) if name.eq_ignore_ascii_case(keyword))
    }

    fn eat(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, keyword: &str) -> Parsed<()> {
        if self.eat(keyword) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn eat_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Word::Sign(s) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn expect_sign(&mut self, sign: &str) -> Parsed<()> {
        if self.eat_sign(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn name(&mut self) -> Parsed<String> {
        match self.peek() {
            Word::Name(name) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn path(&mut self) -> Parsed<Path> {
        let at = self.place();
        let parts: Vec<String> = self.name()?.split('.').map(str::to_owned).collect();
        if parts.iter().any(String::is_empty) {
            self.at -= 1;
            return Err(self.unexpected());
        }
        Ok(Path { parts, at })
    }

    fn number(&mut self) -> Parsed<usize> {
        match self.peek() {
            Word::Literal(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                let number = text.parse().map_err(|_| self.unexpected())?;
                self.at += 1;
                Ok(number)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn query(&mut self) -> Parsed<Query> {
        self.expect("SELECT")?;
        let mut items = vec![self.item()?];
        while self.eat_sign(",") {
            items.push(self.item()?);
        }
        self.expect("FROM")?;
        let from_at = self.place();
        let from = self.name()?;
        let alias = self.alias(&[]);
        let mut query = Query {
            items,
            from,
            from_at,
            alias,
            filter: None,
            group: Vec::new(),
            having: None,
            order: Vec::new(),
            limit: None,
            offset: 0,
            offset_at: 0,
            all_rows: false,
        };
        if self.eat("USING") {
            // `USING SCOPE` filters by the signed-in person's own rows, which is not modelled.
            self.at -= 1;
            return Err(self.unexpected());
        }
        if self.eat("WHERE") {
            query.filter = Some(self.condition(false)?);
        }
        if self.eat("WITH") {
            // The integration user sees everything, so enforcing its access changes nothing.
            if !self.eat("SECURITY_ENFORCED") && !self.eat("USER_MODE") && !self.eat("SYSTEM_MODE")
            {
                return Err(self.unexpected());
            }
        }
        if self.eat("GROUP") {
            self.expect("BY")?;
            query.group.push(self.path()?);
            while self.eat_sign(",") {
                query.group.push(self.path()?);
            }
        }
        if self.eat("HAVING") {
            query.having = Some(self.condition(true)?);
        }
        if self.eat("ORDER") {
            self.expect("BY")?;
            query.order.push(self.order()?);
            while self.eat_sign(",") {
                query.order.push(self.order()?);
            }
        }
        if self.eat("LIMIT") {
            query.limit = Some(self.number()?);
        }
        if self.eat("OFFSET") {
            query.offset_at = self.place();
            query.offset = self.number()?;
        }
        if self.eat("ALL") {
            self.expect("ROWS")?;
            query.all_rows = true;
        }
        Ok(query)
    }

    fn alias(&mut self, also_not: &[&str]) -> Option<String> {
        let Word::Name(name) = self.peek() else { return None };
        let taken = CLAUSES.iter().chain(also_not).any(|c| c.eq_ignore_ascii_case(name));
        if taken || name.contains('.') {
            return None;
        }
        let name = name.clone();
        self.at += 1;
        Some(name)
    }

    fn item(&mut self) -> Parsed<Item> {
        let at = self.place();
        if self.eat_sign("(") {
            let query = self.query()?;
            self.expect_sign(")")?;
            return Ok(Item::Children(Box::new(query)));
        }
        if self.is_keyword("TYPEOF") {
            return Err(self.unexpected());
        }
        if matches!(self.peek_second(), Word::Sign("(")) {
            let name = self.name()?;
            self.expect_sign("(")?;
            if name.eq_ignore_ascii_case("FIELDS") {
                let set = match self.name()?.to_ascii_uppercase().as_str() {
                    "ALL" => FieldSet::All,
                    "STANDARD" => FieldSet::Standard,
                    "CUSTOM" => FieldSet::Custom,
                    _ => {
                        self.at -= 1;
                        return Err(self.unexpected());
                    }
                };
                self.expect_sign(")")?;
                return Ok(Item::Fields(set, at));
            }
            let (function, path) = self.call(&name, at)?;
            let alias = self.alias(&[]);
            return Ok(Item::Aggregate { function, path, alias });
        }
        if self.is_keyword("FROM") {
            return Err(self.unexpected());
        }
        let path = self.path()?;
        let alias = self.alias(&[]);
        Ok(Item::Field { path, alias })
    }

    /// The rest of an aggregate behind its opening bracket.
    fn call(&mut self, name: &str, at: usize) -> Parsed<(Function, Option<Path>)> {
        let Some(function) = Function::named(name) else {
            return Err(SoqlError::malformed(self.text, at, format!("unexpected token: '{name}'")));
        };
        if self.eat_sign(")") {
            if function == Function::Count {
                return Ok((function, None));
            }
            self.at -= 1;
            return Err(self.unexpected());
        }
        let path = self.path()?;
        self.expect_sign(")")?;
        Ok((function, Some(path)))
    }

    fn order(&mut self) -> Parsed<Order> {
        let subject = self.subject(true)?;
        let descending = self.eat("DESC");
        if !descending {
            self.eat("ASC");
        }
        let mut nulls_last = false;
        if self.eat("NULLS") {
            nulls_last = self.eat("LAST");
            if !nulls_last {
                self.expect("FIRST")?;
            }
        }
        Ok(Order { subject, descending, nulls_last })
    }

    fn subject(&mut self, aggregates: bool) -> Parsed<Subject> {
        let at = self.place();
        if matches!(self.peek_second(), Word::Sign("(")) && matches!(self.peek(), Word::Name(_)) {
            if !aggregates {
                return Err(self.unexpected());
            }
            let name = self.name()?;
            self.expect_sign("(")?;
            let (function, path) = self.call(&name, at)?;
            return Ok(Subject::Aggregate { function, path, at });
        }
        Ok(Subject::Field(self.path()?))
    }

    /// Conditions joined by one word. AND and OR do not mix without brackets, as on the platform.
    fn condition(&mut self, aggregates: bool) -> Parsed<Cond> {
        let first = self.term(aggregates)?;
        let both = self.is_keyword("AND");
        if !both && !self.is_keyword("OR") {
            return Ok(first);
        }
        let word = if both { "AND" } else { "OR" };
        let mut parts = vec![first];
        while self.eat(word) {
            parts.push(self.term(aggregates)?);
        }
        if self.is_keyword("AND") || self.is_keyword("OR") {
            return Err(self.unexpected());
        }
        Ok(if both { Cond::And(parts) } else { Cond::Or(parts) })
    }

    fn term(&mut self, aggregates: bool) -> Parsed<Cond> {
        if self.eat("NOT") {
            return Ok(Cond::Not(Box::new(self.term(aggregates)?)));
        }
        if self.eat_sign("(") {
            let inner = self.condition(aggregates)?;
            self.expect_sign(")")?;
            return Ok(inner);
        }
        let subject = self.subject(aggregates)?;
        let op = match self.peek() {
            Word::Sign("=") => Op::Eq,
            Word::Sign("!=") => Op::Ne,
            Word::Sign("<") => Op::Lt,
            Word::Sign("<=") => Op::Le,
            Word::Sign(">") => Op::Gt,
            Word::Sign(">=") => Op::Ge,
            _ => return self.worded(subject),
        };
        self.at += 1;
        let value = self.literal()?;
        Ok(Cond::Compare { subject, op, value })
    }

    /// LIKE, IN, NOT IN, INCLUDES and EXCLUDES.
    fn worded(&mut self, subject: Subject) -> Parsed<Cond> {
        let Subject::Field(path) = subject else { return Err(self.unexpected()) };
        if self.eat("LIKE") {
            return match self.next() {
                Word::Text(pattern) => Ok(Cond::Like { path, pattern }),
                _ => {
                    self.at -= 1;
                    Err(self.unexpected())
                }
            };
        }
        for (word, negated) in [("INCLUDES", false), ("EXCLUDES", true)] {
            if self.eat(word) {
                let mut values = Vec::new();
                for literal in self.list()? {
                    match literal {
                        Literal::Text(text) => values.push(text),
                        _ => return Err(self.unexpected()),
                    }
                }
                return Ok(Cond::Includes { path, negated, values });
            }
        }
        let negated = self.eat("NOT");
        self.expect("IN")?;
        if matches!(self.peek_second(), Word::Name(n) if n.eq_ignore_ascii_case("SELECT")) {
            self.expect_sign("(")?;
            let query = Box::new(self.query()?);
            self.expect_sign(")")?;
            return Ok(Cond::InQuery { path, negated, query });
        }
        Ok(Cond::In { path, negated, values: self.list()? })
    }

    fn list(&mut self) -> Parsed<Vec<Literal>> {
        self.expect_sign("(")?;
        let mut values = vec![self.literal()?];
        while self.eat_sign(",") {
            values.push(self.literal()?);
        }
        self.expect_sign(")")?;
        Ok(values)
    }

    fn literal(&mut self) -> Parsed<Literal> {
        let literal = match self.peek().clone() {
            Word::Text(text) => Literal::Text(text),
            Word::Literal(text) => self.plain(&text)?,
            Word::Name(name) => match name.to_ascii_uppercase().as_str() {
                "NULL" => Literal::Null,
                "TRUE" => Literal::Bool(true),
                "FALSE" => Literal::Bool(false),
                upper if super::dates::is_span(upper) => {
                    if !super::dates::is_counted(upper) {
                        Literal::Span(upper.to_owned(), None)
                    } else if matches!(self.peek_second(), Word::Sign(":")) {
                        self.at += 2;
                        let count = i64::try_from(self.number()?).unwrap_or(i64::MAX);
                        return Ok(Literal::Span(upper.to_owned(), Some(count)));
                    } else {
                        return Err(self.unexpected());
                    }
                }
                _ => return Err(self.unexpected()),
            },
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(literal)
    }

    fn plain(&self, text: &str) -> Parsed<Literal> {
        if let Ok(number) = text.parse::<f64>() {
            return Ok(Literal::Number(number));
        }
        if time::parse_date(text).is_some() {
            return Ok(Literal::Date(text.to_owned()));
        }
        time::parse_datetime(text).map(Literal::DateTime).ok_or_else(|| self.unexpected())
    }
}
