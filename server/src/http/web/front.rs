//! The front page: one button, totals, the last 15 days.

use super::doors::DoorRow;
use super::format;
use super::page::{Frame, PageResult, render};
use super::session::MaybeVisitor;
use crate::http::app::Shared;
use crate::time::civil_from_days;
use askama::Template;
use axum::extract::State;
use gadwall_storage::DayStats;

const DAYS: u32 = 15;
/// The chart's height in its own units; bars are 10 wide and stand every 14.
const CHART_HEIGHT: u64 = 60;

/// One day of the chart.
struct Bar {
    x: usize,
    y: u64,
    height: u64,
    label: String,
}

#[derive(Template)]
#[template(path = "front.html")]
struct FrontPage<'a> {
    frame: Frame,
    messages: String,
    accounts: String,
    stored: String,
    caught: String,
    bars: Vec<Bar>,
    /// The day with the most mail and how much it was, if there was any.
    busiest: Option<String>,
    first_day: String,
    last_day: String,
    doors: Vec<DoorRow<'a>>,
    web: &'a str,
    needs_key: bool,
    lifetime: String,
}

pub async fn show(State(app): State<Shared>, MaybeVisitor(visitor): MaybeVisitor) -> PageResult {
    let stats = app.services.store.stats().await?;
    let days = app.services.store.daily_stats(DAYS).await?;
    let day = |d: Option<&DayStats>| d.map(|d| day_name(d.day)).unwrap_or_default();
    let config = &app.config;
    Ok(render(&FrontPage {
        frame: Frame::new("Gadwall", visitor.as_ref()),
        messages: format::count(stats.messages),
        accounts: format::count(stats.accounts),
        stored: format::bytes(stats.bytes),
        caught: format::count(stats.appended_total),
        busiest: busiest(&days),
        first_day: day(days.first()),
        last_day: day(days.last()),
        bars: bars(&days),
        doors: app.door_rows(),
        web: &config.web,
        needs_key: config.api_key.is_some(),
        lifetime: lifetime(config.defaults.lifetime),
    }))
}

fn lifetime(lifetime: Option<std::time::Duration>) -> String {
    match lifetime.map(|d| d.as_secs()) {
        None => "stays until you delete it".into(),
        Some(secs) if secs >= 2 * 86_400 => format!("is gone after {} days", secs / 86_400),
        Some(secs) => format!("is gone after {} hours", (secs / 3600).max(1)),
    }
}

fn day_name(day: u32) -> String {
    let (_, month, day) = civil_from_days(i64::from(day));
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    format!("{day} {}", MONTHS[(month as usize + 11) % 12])
}

fn busiest(days: &[DayStats]) -> Option<String> {
    let day = days.iter().filter(|d| d.messages > 0).max_by_key(|d| d.messages)?;
    Some(format!("{} with {}", day_name(day.day), format::plural(day.messages, "message")))
}

fn bars(days: &[DayStats]) -> Vec<Bar> {
    let most = days.iter().map(|d| d.messages).max().unwrap_or(0).max(1);
    let bar = |(i, d): (usize, &DayStats)| {
        // A day without mail is a line, one with little mail is more than that.
        let height = d.messages.saturating_mul(CHART_HEIGHT - 1).div_ceil(most) + 1;
        let label = format!(
            "{}: {}, {}",
            day_name(d.day),
            format::plural(d.messages, "message"),
            format::plural(d.accounts, "account")
        );
        Bar { x: i * 14 + 2, y: CHART_HEIGHT - height, height, label }
    };
    days.iter().enumerate().map(bar).collect()
}
