//! A SOQL query as it was written.

/// A dotted path and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Path {
    pub parts: Vec<String>,
    pub at: usize,
}

/// What `FIELDS(…)` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldSet {
    All,
    Standard,
    Custom,
}

/// An aggregate function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox::salesforce) enum Function {
    Count,
    CountDistinct,
    Sum,
    Avg,
    Min,
    Max,
}

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        const ALL: [(&str, Function); 6] = [
            ("COUNT", Function::Count),
            ("COUNT_DISTINCT", Function::CountDistinct),
            ("SUM", Function::Sum),
            ("AVG", Function::Avg),
            ("MIN", Function::Min),
            ("MAX", Function::Max),
        ];
        ALL.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, f)| f)
    }
}

/// One thing that is selected.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Field { path: Path, alias: Option<String> },
    Aggregate { function: Function, path: Option<Path>, alias: Option<String> },
    Fields(FieldSet, usize),
    Children(Box<Query>),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// A value in a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Text(String),
    Number(f64),
    Date(String),
    DateTime(i64),
    /// `TODAY`, or `LAST_N_DAYS:5` with its number.
    Span(String, Option<i64>),
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Subject {
    Field(Path),
    Aggregate { function: Function, path: Option<Path>, at: usize },
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cond {
    And(Vec<Cond>),
    Or(Vec<Cond>),
    Not(Box<Cond>),
    Compare { subject: Subject, op: Op, value: Literal },
    Like { path: Path, pattern: String },
    In { path: Path, negated: bool, values: Vec<Literal> },
    InQuery { path: Path, negated: bool, query: Box<Query> },
    Includes { path: Path, negated: bool, values: Vec<String> },
}

/// One field of an ordering.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub subject: Subject,
    pub descending: bool,
    pub nulls_last: bool,
}

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    pub items: Vec<Item>,
    pub from: String,
    pub from_at: usize,
    pub alias: Option<String>,
    pub filter: Option<Cond>,
    pub group: Vec<Path>,
    pub having: Option<Cond>,
    pub order: Vec<Order>,
    pub limit: Option<usize>,
    pub offset: usize,
    pub offset_at: usize,
    pub all_rows: bool,
}
