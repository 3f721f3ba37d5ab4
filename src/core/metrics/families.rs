//! What a part writes its metrics to.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::histogram::Histogram;

/// The labels of one metric of a family: names and values.
type Labels<'l, const N: usize> = [(&'l str, &'l str); N];

/// Takes the families of metrics of a part, one after the other. `help` is a sentence.
pub struct Families<'a>(DescriptorEncoder<'a>);

impl<'a> Families<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    fn begin<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    /// A counter; its `name` is without `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.begin(name, help, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// A counter of what comes in fractions; its `name` is without `_total`.
    pub fn counter_of_fractions(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let mut metric = self.begin(name, help, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// Counters that labels tell apart; their `name` is without `_total`.
    pub fn counters<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l, N>, u64)>,
    ) -> fmt::Result {
        let mut family = self.begin(name, help, MetricType::Counter)?;
        for (labels, value) in values {
            let mut metric = family.encode_family(&labels)?;
            metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// A gauge.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let mut metric = self.begin(name, help, MetricType::Gauge)?;
        metric.encode_gauge(&value)
    }

    /// A gauge that is 1 or 0.
    pub fn flag(&mut self, name: &str, help: &str, is: bool) -> fmt::Result {
        self.gauge(name, help, if is { 1.0 } else { 0.0 })
    }

    /// Gauges that labels tell apart.
    pub fn gauges<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l, N>, f64)>,
    ) -> fmt::Result {
        let mut family = self.begin(name, help, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A histogram of durations; its `name` ends with `_seconds`.
    pub fn histogram(&mut self, name: &str, help: &str, value: &Histogram) -> fmt::Result {
        value.encode(self.begin(name, help, MetricType::Histogram)?)
    }

    /// Histograms of durations that labels tell apart; their `name` ends with `_seconds`.
    pub fn histograms<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l, N>, impl AsRef<Histogram>)>,
    ) -> fmt::Result {
        let mut family = self.begin(name, help, MetricType::Histogram)?;
        for (labels, value) in values {
            value.as_ref().encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// A number of things as a gauge has it, exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
pub fn number(of: usize) -> f64 {
    of as f64
}

/// The same of 64 bits.
#[allow(clippy::cast_precision_loss)]
pub fn whole(of: u64) -> f64 {
    of as f64
}
