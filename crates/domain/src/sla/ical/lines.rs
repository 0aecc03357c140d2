//! Content lines: unfolded, and taken apart into name, parameters and value.

use std::borrow::Cow;
use std::iter::Peekable;

/// A content line with the number of the line on which it begins.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) text: Cow<'a, str>,
}

/// The content lines of a text. A line that begins with a blank goes on the one before it.
pub(super) fn unfold(text: &str) -> impl Iterator<Item = Line<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let physical = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .zip(1..)
        .peekable();
    Unfolded { physical }
}

struct Unfolded<I: Iterator> {
    physical: Peekable<I>,
}

impl<'a, I: Iterator<Item = (&'a str, usize)>> Iterator for Unfolded<I> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let (first, number) = self.physical.next()?;
        let mut text = Cow::Borrowed(first);
        while let Some((more, _)) = self
            .physical
            .next_if(|(line, _)| line.starts_with([' ', '\t']))
        {
            text.to_mut().push_str(more.get(1..).unwrap_or_default());
        }
        Some(Line { number, text })
    }
}

impl Line<'_> {
    pub(super) fn begins(&self, component: &str) -> bool {
        self.is("BEGIN", component)
    }

    pub(super) fn ends(&self, component: &str) -> bool {
        self.is("END", component)
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.name_and_value().is_some_and(|(left, right)| {
            left.eq_ignore_ascii_case(name) && right.trim_end().eq_ignore_ascii_case(value)
        })
    }

    /// The property's name without its parameters, and its value.
    pub(super) fn name_and_value(&self) -> Option<(&str, &str)> {
        let (left, value) = self.text.split_at_checked(self.colon()?)?;
        let name = left.split(';').next()?;
        Some((name, value.get(1..)?))
    }

    /// Whether it has a parameter such as `VALUE=DATE`.
    pub(super) fn has_parameter(&self, parameter: &str) -> bool {
        let left = self.colon().and_then(|colon| self.text.get(..colon));
        left.is_some_and(|left| {
            let mut parameters = left.split(';').skip(1);
            parameters.any(|found| found.eq_ignore_ascii_case(parameter))
        })
    }

    /// The colon before the value: the first that no quotes enclose.
    fn colon(&self) -> Option<usize> {
        let mut is_quoted = false;
        self.text.bytes().position(|byte| {
            is_quoted ^= byte == b'"';
            byte == b':' && !is_quoted
        })
    }
}
