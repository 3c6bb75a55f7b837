//! Charts of a result, as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::live::{Fate, Live};
use crate::packets::{Costs, Family, Kind, NAME, Sources, Variant};

const SIZE: (u32, u32) = (760, 420);
const FONT: &str = "sans-serif";
const OURS: RGBColor = RGBColor(0, 114, 178);
const PEER: RGBColor = RGBColor(213, 94, 0);
const FLOOR: RGBColor = RGBColor(130, 130, 130);

/// Draws what packets of a family cost, by the number of addresses.
pub fn packets(costs: &Costs, family: Family, file: &Path) -> Result<()> {
    draw_packets(costs, family, file).map_err(|error| anyhow!("{}: {error}", file.display()))
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw_packets(costs: &Costs, family: Family, file: &Path) -> Drawn {
    let mut lines = Vec::new();
    for (program, color) in [(NAME, OURS), (Variant::Ip.name(), PEER)] {
        for (kind, dashed) in [(Kind::Allowed, false), (Kind::Unknown, true)] {
            let points = line(costs, program, family, kind);
            if !points.is_empty() {
                lines.push((format!("{program}, {}", kind.name()), color, dashed, points));
            }
        }
    }
    let all = lines.iter().flat_map(|(_, _, _, points)| points);
    let (xs, ys): (Vec<_>, Vec<_>) = all.copied().unzip();
    let highest = ys.iter().copied().fold(1.0, f64::max);
    let (first, last) = (
        xs.iter().copied().fold(f64::MAX, f64::min),
        xs.iter().copied().fold(1.0, f64::max),
    );
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!("Cost of a packet above bare XDP_DROP, {}", family.name());
    let mut chart = ChartBuilder::on(&root)
        .caption(title, (FONT, 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d((first..last * 1.2).log_scale(), 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("allowed addresses")
        .y_desc("ns")
        .label_style((FONT, 13))
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    for (label, color, dashed, points) in lines {
        let style = color.stroke_width(2);
        let legend = move |(x, y)| PathElement::new(vec![(x, y), (x + 22, y)], style);
        if dashed {
            let series = DashedLineSeries::new(points.iter().copied(), 6, 4, style);
            chart
                .draw_series(series)?
                .label(label)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 9, y)], style));
        } else {
            let series = LineSeries::new(points.iter().copied(), style);
            chart.draw_series(series)?.label(label).legend(legend);
        }
        let dots = points
            .iter()
            .map(|&point| Circle::new(point, 3, color.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font((FONT, 13))
        .background_style(WHITE.mix(0.8))
        .draw()?;
    root.present()?;
    Ok(())
}

/// Points of one line: number of addresses, and ns per packet.
fn line(costs: &Costs, program: &str, family: Family, kind: Kind) -> Vec<(f64, f64)> {
    let cases = costs.cases.iter().filter(|case| {
        case.program == program
            && case.family == family
            && case.packets == kind
            && case.sources == Sources::Changing
    });
    let mut points: Vec<_> = cases
        .map(|case| (f64::from(case.addresses), f64::from(case.above_bare_ns)))
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// Draws packet rates on one core.
pub fn floods(live: &Live, file: &Path) -> Result<()> {
    draw_floods(live, file).map_err(|error| anyhow!("{}: {error}", file.display()))
}

fn draw_floods(live: &Live, file: &Path) -> Drawn {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (upper, lower) = root.split_vertically(SIZE.1 / 2);
    for (area, fate, title) in [
        (
            upper,
            Fate::Dropped,
            "Dropped, million packets a second on one core",
        ),
        (
            lower,
            Fate::Passed,
            "Passed to a socket, million packets a second on one core",
        ),
    ] {
        let rates: Vec<_> = live
            .floods
            .iter()
            .filter(|rate| rate.fate == fate)
            .collect();
        let most = rates
            .iter()
            .map(|rate| rate.mpps.median)
            .fold(0.1, f64::max);
        let rows = 0..i32::try_from(rates.len())?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, (FONT, 15))
            .margin(8)
            .x_label_area_size(8)
            .y_label_area_size(8)
            .build_cartesian_2d(-most * 0.45..most * 1.15, rows.clone())?;
        for (row, rate) in rows.clone().zip(rates.iter().rev()) {
            let color = match rate.contender.name() {
                NAME => OURS,
                _ if rate.contender.is_floor() => FLOOR,
                _ => PEER,
            };
            let value = rate.mpps.median;
            let mut bar = Rectangle::new([(0.0, row), (value, row + 1)], color.filled());
            bar.set_margin(4, 4, 0, 0);
            chart.draw_series([bar])?;
            let label = (FONT, 13).into_text_style(&area);
            let (x, y) = chart.backend_coord(&(-most * 0.44, row));
            let (_, above) = chart.backend_coord(&(0.0, row + 1));
            let middle = i32::midpoint(y, above) - 7;
            area.draw_text(rate.contender.name(), &label, offset(&area, x, middle))?;
            let (x, _) = chart.backend_coord(&(value, row));
            let text = format!("{value:.2}");
            area.draw_text(&text, &label, offset(&area, x + 6, middle))?;
        }
    }
    root.present()?;
    Ok(())
}

/// The point (`x`, `y`) of the whole picture in the coordinates of `area`.
fn offset(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    x: i32,
    y: i32,
) -> (i32, i32) {
    let (left, top) = area.get_base_pixel();
    (x - left, y - top)
}
