//! Which messages of a queue a pull wants (`ExpressionMessageFilter`, `ExpressionForRetryMessageFilter`).

use std::collections::BTreeSet;
use std::sync::Arc;

use raptormq_filter::{Bits, Expression};
use raptormq_message::props::{self, keys};
use raptormq_message::{Checks, Decoded, decode};
use raptormq_store::Filter;
use raptormq_wire::body::SubscriptionData;

use crate::names;
use crate::tables::filters::{FilterData, FilterTable, is_tag_type};

/// Lets through what a subscription wants.
pub enum PullFilter {
    /// Messages with one of these hashes of tags; the client compares the tags themselves.
    Tags(BTreeSet<i32>),
    /// Messages whose properties an expression is true for.
    Expression(ExpressionFilter),
}

/// An expression and where it comes from.
pub struct ExpressionFilter {
    expression: Arc<Expression>,
    /// For bit maps; a pull that carries its expression has none.
    registered: Option<Arc<FilterData>>,
    /// For a retry topic, where the expression is that of the topic a message comes from (`filterSupportRetry`).
    retry_of: Option<String>,
    filters: Arc<FilterTable>,
}

impl PullFilter {
    /// A filter by tags; `None` where every message is wanted.
    pub fn of_tags(subscription: &SubscriptionData) -> Option<Arc<Self>> {
        let all = subscription.sub_string == "*" || subscription.class_filter_mode;
        (!all).then(|| Arc::new(Self::Tags(subscription.code_set.clone())))
    }

    /// A filter by an expression: the registered one, or the one that the pull carries. As in Java, every message
    /// passes where that is wrong.
    pub fn of_expression(
        subscription: &SubscriptionData,
        registered: Option<Arc<FilterData>>,
        filters: &Arc<FilterTable>,
        support_retry: bool,
    ) -> Option<Arc<Self>> {
        if subscription.class_filter_mode || is_tag_type(&subscription.expression_type) {
            return Self::of_tags(subscription);
        }
        let expression = match &registered {
            Some(data) => data.compiled().cloned(),
            None => filters.compile_cached(&subscription.sub_string, &subscription.expression_type).ok(),
        };
        let retry_of = subscription.topic.strip_prefix(names::RETRY_PREFIX).filter(|_| support_retry);
        let filter = ExpressionFilter {
            expression: expression?,
            registered,
            retry_of: retry_of.map(str::to_owned),
            filters: filters.clone(),
        };
        Some(Arc::new(Self::Expression(filter)))
    }

    /// Whether a message that has just come is wanted, as far as its hash of tags and its properties tell.
    pub fn wants(&self, tags_code: i64, properties: &str) -> bool {
        match self {
            Self::Tags(_) => self.matches_queue(tags_code),
            Self::Expression(filter) => filter.matches(properties),
        }
    }
}

impl ExpressionFilter {
    fn matches(&self, properties: &str) -> bool {
        let Some(group) = &self.retry_of else { return self.expression.matches(props::iter(properties)) };
        let topic = props::get(properties, keys::RETRY_TOPIC);
        let real = topic.and_then(|topic| self.filters.get(topic, group));
        match real.as_deref().and_then(FilterData::compiled) {
            Some(expression) => expression.matches(props::iter(properties)),
            None => true,
        }
    }
}

impl Filter for PullFilter {
    fn matches_queue(&self, tags_code: i64) -> bool {
        match self {
            // Java compares the lower 32 bits (`ExpressionMessageFilter.isMatchedByConsumeQueue`).
            Self::Tags(codes) => codes.contains(&(tags_code as i32)),
            Self::Expression(_) => true,
        }
    }

    fn looks_at_bit_maps(&self) -> bool {
        matches!(self, Self::Expression(filter) if filter.registered.is_some())
    }

    fn matches_bit_map(&self, store_time: i64, bit_map: &[u8]) -> bool {
        let Self::Expression(filter) = self else { return true };
        let bloom = filter.registered.as_ref().and_then(|data| data.bloom_at(store_time));
        let Some(bloom) = bloom.filter(|bloom| filter.filters.is_valid(bloom)) else { return true };
        usize::try_from(bloom.bit_num) != Ok(bit_map.len() * 8) || Bits::hit(bit_map, &bloom.bit_pos)
    }

    fn matches_record(&self, record: &[u8]) -> bool {
        match self {
            Self::Tags(_) => true,
            Self::Expression(filter) => match decode(record, Checks::Sizes) {
                Ok(Decoded::Record(record)) => filter.matches(&record.properties),
                // Whoever reads it sees what is wrong with it.
                _ => true,
            },
        }
    }
}

#[cfg(test)]
mod tests;
