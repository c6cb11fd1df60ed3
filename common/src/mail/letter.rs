//! The one shape every mail has: greeting, what happened, the facts, what follows, one button, and the way to cancel.

use std::fmt::Display;

use askama::Template;
use url::Url;

use super::{Brand, RenderError, Rendered, links, one_line::OneLine};

/// A mail before it is laid out. HTML and text are made from the same lines, so neither says more than the other.
pub(super) struct Letter {
    brand: OneLine,
    domain: String,
    topic: &'static str,
    subject: OneLine,
    greeting: OneLine,
    opening: Vec<OneLine>,
    facts: Vec<Fact>,
    closing: Vec<OneLine>,
    action: Option<Link>,
    /// In every mail, because leaving may not be harder than joining.
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
#[template(path = "mail/letter.html")]
struct Html<'a> {
    letter: &'a Letter,
}

#[derive(Template)]
#[template(path = "mail/letter.txt")]
struct Text<'a> {
    letter: &'a Letter,
}

impl Letter {
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
            action: None,
            manage: Link {
                words: "구독 관리 및 취소", url: links::subscription(brand, subscription_ref)?
            },
        })
    }

    /// A paragraph before the facts.
    pub(super) fn open(&mut self, words: &str) {
        self.opening.push(OneLine::new(words));
    }

    pub(super) fn fact(&mut self, label: &'static str, value: impl Display) {
        self.facts.push(Fact { label, value: Value::Words(OneLine::new(&value.to_string())) });
    }

    pub(super) fn linked_fact(&mut self, label: &'static str, words: &'static str, url: Url) {
        self.facts.push(Fact { label, value: Value::Link(Link { words, url }) });
    }

    /// A paragraph after the facts.
    pub(super) fn close(&mut self, words: &str) {
        self.closing.push(OneLine::new(words));
    }

    /// The one button.
    pub(super) fn action(&mut self, words: &'static str, url: Url) {
        self.action = Some(Link { words, url });
    }

    pub(super) fn render(self) -> Result<Rendered, RenderError> {
        let html = Html { letter: &self }.render()?;
        let text = Text { letter: &self }.render()?;
        Ok(Rendered { subject: self.subject.into_string(), html, text, domain: self.domain })
    }
}
