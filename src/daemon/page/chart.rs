//! Charts, drawn as SVG by a library.
//!
//! A chart names no colour that is seen: it is drawn in [`INK`], [`BAR`] and [`FAINT`], which the
//! style sheet replaces by those of the reader's scheme, light or dark or on paper. Everything that
//! it shows stands in a table beside it as well.

use plotters::prelude::{
    ChartBuilder, Color, EmptyElement, Histogram, IntoDrawingArea, IntoFont, IntoSegmentedCoord,
    RGBColor, SVGBackend, SegmentValue, Text, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::Serialize;

/// Text and axes.
pub const INK: RGBColor = RGBColor(0x10, 0x20, 0x30);

/// Bars.
pub const BAR: RGBColor = RGBColor(0x20, 0x60, 0xA0);

/// Bars that say little.
pub const FAINT: RGBColor = RGBColor(0x90, 0xA0, 0xB0);

/// The width of every chart. It is scaled to the column that it stands in; on a phone the text is
/// then as large as that around it.
const WIDTH: u32 = 480;

/// The size that the library is asked for, of which it makes 14.5.
const TEXT: u32 = 18;

/// The height of one bar with its gap.
const STEP: u32 = 34;

/// How much of the width names take, in the wide letters that some systems have for sans-serif.
const NAMES: u32 = 176;

/// How much of the width is left for the figure behind the longest bar.
const FIGURES: u32 = 136;

/// The longest name that fits, in characters. The table beside the chart has it whole.
const LONGEST: usize = 20;

/// A chart cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("a chart cannot be drawn: {0}")]
pub struct ChartError(String);

/// One bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What it stands for.
    pub name: String,
    /// How long it is.
    pub value: f64,
    /// The figure, as it is written behind it.
    pub figure: String,
    /// Whether it says little, and is drawn so.
    pub faint: bool,
}

/// A chart as it stands in a document.
#[derive(Debug, Clone, Serialize)]
pub struct Chart {
    /// Its anchor, from which the ids of its title and description are made.
    pub id: &'static str,
    /// What it shows, in a few words.
    pub title: String,
    /// All that it shows, in words.
    pub description: String,
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// What stands inside the `svg` element. The library has escaped it.
    pub inner: String,
}

impl Chart {
    /// Bars from left to right, the first one on top. Nothing where there is none.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn bars(
        id: &'static str,
        title: impl Into<String>,
        bars: &[Bar],
    ) -> Result<Option<Self>, ChartError> {
        if bars.is_empty() {
            return Ok(None);
        }
        let height = STEP * u32::try_from(bars.len()).unwrap_or(u32::MAX / STEP);
        let mut svg = String::new();
        draw(&mut svg, bars, height).map_err(|error| ChartError(error.to_string()))?;
        // The element itself is the template's, which gives it a role and names.
        let inner = svg
            .split_once('>')
            .and_then(|(_, rest)| rest.rsplit_once("</svg>"))
            .map(|(inner, _)| inner.trim().to_owned())
            .ok_or_else(|| ChartError("the library gave no SVG".to_owned()))?;
        let told: Vec<String> =
            bars.iter().map(|bar| format!("{}: {}", bar.name, bar.figure)).collect();
        Ok(Some(Self {
            id,
            title: title.into(),
            description: told.join("; ") + ".",
            width: WIDTH,
            height,
            inner,
        }))
    }
}

type Refused<'a> = plotters::drawing::DrawingAreaErrorKind<
    <SVGBackend<'a> as plotters::prelude::DrawingBackend>::ErrorType,
>;

fn draw<'a>(into: &'a mut String, bars: &[Bar], height: u32) -> Result<(), Refused<'a>> {
    let count = i32::try_from(bars.len()).unwrap_or(i32::MAX);
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    // Rows are numbered from below.
    let row = |place: usize| count - 1 - i32::try_from(place).unwrap_or(i32::MAX);
    let font = TextStyle::from(("sans-serif", TEXT).into_font()).color(&INK);
    let root = SVGBackend::with_string(into, (WIDTH, height)).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin_right(FIGURES)
        .y_label_area_size(NAMES)
        .build_cartesian_2d(0.0..most, (0..count - 1).into_segmented())?;
    let name = |value: &SegmentValue<i32>| match value {
        SegmentValue::CenterOf(row) => usize::try_from(count - 1 - row)
            .ok()
            .and_then(|place| bars.get(place))
            .map(|bar| shortened(&bar.name))
            .unwrap_or_default(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .y_labels(bars.len() + 1)
        .y_label_formatter(&name)
        .y_label_style(font.clone())
        .axis_style(FAINT)
        .draw()?;
    // A series for each: the library's histogram draws the bars of one in no fixed order.
    for (place, bar) in bars.iter().enumerate() {
        let colour = if bar.faint { FAINT } else { BAR };
        let data = [(row(place), bar.value)];
        chart.draw_series(
            Histogram::horizontal(&chart).style(colour.filled()).margin(6).data(data),
        )?;
    }
    let figure = font.pos(Pos::new(HPos::Left, VPos::Center));
    chart.draw_series(bars.iter().enumerate().map(|(place, bar)| {
        EmptyElement::at((bar.value, SegmentValue::CenterOf(row(place))))
            + Text::new(bar.figure.clone(), (6, 0), figure.clone())
    }))?;
    root.present()
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LONGEST {
        return name.to_owned();
    }
    name.chars().take(LONGEST - 1).chain(['…']).collect()
}
