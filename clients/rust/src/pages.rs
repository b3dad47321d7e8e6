//! Lists over all their pages.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::error::Result;

type Page<T> = Pin<Box<dyn Future<Output = Result<(Vec<T>, String)>> + Send>>;

/// The items of a list, over all its pages. A page is asked for when the one before is used up.
pub struct Pages<T> {
    fetch: Box<dyn Fn(String) -> Page<T> + Send + Sync>,
    items: VecDeque<T>,
    /// The token of the next page; none after the last.
    next: Option<String>,
}

impl<T> Pages<T> {
    pub(crate) fn new(fetch: impl Fn(String) -> Page<T> + Send + Sync + 'static) -> Self {
        Self { fetch: Box::new(fetch), items: VecDeque::new(), next: Some(String::new()) }
    }

    /// The next item; none after the last. After an error the same page is asked for again.
    pub async fn next(&mut self) -> Result<Option<T>> {
        while self.items.is_empty() {
            let Some(token) = self.next.clone() else { return Ok(None) };
            let (items, token) = (self.fetch)(token).await?;
            self.items.extend(items);
            self.next = Some(token).filter(|token| !token.is_empty());
        }
        Ok(self.items.pop_front())
    }

    /// All that is left.
    pub async fn collect(mut self) -> Result<Vec<T>> {
        let mut all = Vec::new();
        while let Some(item) = self.next().await? {
            all.push(item);
        }
        Ok(all)
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}
