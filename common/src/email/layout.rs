//! The layout of every e-mail: greeting, what happened, the facts, what follows, one button, and the way to cancel.

use std::fmt::Display;

use askama::Template;
use url::Url;

use super::{Brand, RenderError, RenderedEmail, links, one_line::OneLine};

/// An e-mail before it is rendered. HTML and text come from the same lines, so neither says more than the other.
pub(super) struct EmailLayout {
    brand: OneLine,
    domain: String,
    topic: &'static str,
    subject: OneLine,
    greeting: OneLine,
    opening: Vec<OneLine>,
    facts: Vec<Fact>,
    closing: Vec<OneLine>,
    button: Option<Link>,
    // Every e-mail has it: leaving may not be harder than joining.
    manage: Link,
}

struct Fact {
    label: &'static str,
    value: Value,
}

enum Value {
    Words(OneLine),
    Link(Link),
}

struct Link {
    words: &'static str,
    url: Url,
}

#[derive(Template)]
#[template(path = "email/layout.html")]
struct Html<'a> {
    layout: &'a EmailLayout,
}

#[derive(Template)]
#[template(path = "email/layout.txt")]
struct Text<'a> {
    layout: &'a EmailLayout,
}

impl EmailLayout {
    /// `topic` follows the brand's name in the subject. A customer whose name is not known is greeted as `고객님`.
    pub(super) fn new(
        brand: &Brand,
        topic: &'static str,
        customer_name: &str,
        subscription_ref: &str,
    ) -> Result<Self, RenderError> {
        let name = OneLine::new(customer_name);
        let addressee = if name.is_empty() { "고객님".to_owned() } else { format!("{name} 님") };
        Ok(Self {
            brand: OneLine::new(&brand.name),
            domain: brand.mail_domain().to_owned(),
            topic,
            subject: OneLine::new(&format!("{} {topic}", brand.name)),
            greeting: OneLine::new(&format!("{addressee}, 안녕하세요.")),
            opening: Vec::new(),
            facts: Vec::new(),
            closing: Vec::new(),
            button: None,
            manage: Link {
                words: "구독 관리 및 취소", url: links::subscription(brand, subscription_ref)?
            },
        })
    }

    /// A paragraph before the facts.
    pub(super) fn opening(&mut self, words: &str) {
        self.opening.push(OneLine::new(words));
    }

    pub(super) fn fact(&mut self, label: &'static str, value: impl Display) {
        self.facts.push(Fact { label, value: Value::Words(OneLine::new(&value.to_string())) });
    }

    pub(super) fn linked_fact(&mut self, label: &'static str, words: &'static str, url: Url) {
        self.facts.push(Fact { label, value: Value::Link(Link { words, url }) });
    }

    /// A paragraph after the facts.
    pub(super) fn closing(&mut self, words: &str) {
        self.closing.push(OneLine::new(words));
    }

    /// The one button.
    pub(super) fn button(&mut self, words: &'static str, url: Url) {
        self.button = Some(Link { words, url });
    }

    pub(super) fn render(self) -> Result<RenderedEmail, RenderError> {
        let html = Html { layout: &self }.render()?;
        let text = Text { layout: &self }.render()?;
        Ok(RenderedEmail { subject: self.subject.into_string(), html, text, domain: self.domain })
    }
}
