//! Believable people: the leads that the demo makes up.
//!
//! Names, companies and titles are drawn from short lists, so that a few hundred leads look like a
//! mid-sized company's marketing database. The same seed gives the same people.

use std::collections::BTreeSet;

/// A made-up lead, before either platform has heard of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The given name.
    pub first: String,
    /// The family name.
    pub last: String,
    /// A unique address under a domain that is reserved for examples.
    pub email: String,
    /// The employer.
    pub company: String,
    /// The role there.
    pub title: String,
    /// A telephone number from a range that is reserved for fiction.
    pub phone: String,
    /// Where the lead came from, in HubSpot's words.
    pub source: &'static str,
    /// The lifecycle stage to begin with, in HubSpot's words.
    pub stage: &'static str,
    /// The score to begin with, 0 to 100.
    pub score: u8,
}

const FIRST: &[&str] = &[
    "Amara", "Anders", "Anita", "Ben", "Bianca", "Carlos", "Chiara", "Chloe", "Daniel", "Daria",
    "David", "Elena", "Emil", "Fatima", "Femi", "Grace", "Hana", "Hugo", "Ines", "Isaac", "Jana",
    "Jonas", "Julia", "Kenji", "Laila", "Lars", "Lucia", "Marek", "Maria", "Mei", "Mohamed",
    "Nadia", "Nils", "Olga", "Omar", "Paula", "Priya", "Rafael", "Rosa", "Samir", "Sofia", "Tariq",
    "Tomas", "Uma", "Victor", "Wanda", "Yara", "Zoe",
];

const LAST: &[&str] = &[
    "Abbott", "Almeida", "Andersen", "Bauer", "Becker", "Bianchi", "Castillo", "Chen", "Costa",
    "Dubois", "Eriksson", "Ferrari", "Fischer", "Garcia", "Haddad", "Hoffmann", "Ibrahim", "Ito",
    "Jansen", "Kaur", "Keller", "Kim", "Kowalski", "Kumar", "Lind", "Lopez", "Marino", "Meyer",
    "Moreau", "Nguyen", "Novak", "Okafor", "Olsen", "Park", "Pereira", "Petrov", "Rossi", "Santos",
    "Sato", "Schmidt", "Silva", "Singh", "Suzuki", "Taylor", "Vargas", "Weber", "Wong", "Yilmaz",
];

const COMPANY: &[(&str, &str)] = &[
    ("Alder Logistics", "alder-logistics"),
    ("Bluewater Foods", "bluewater-foods"),
    ("Cobalt Robotics", "cobalt-robotics"),
    ("Dune Hospitality", "dune-hospitality"),
    ("Elm Street Dental", "elm-street-dental"),
    ("Fjord Energy", "fjord-energy"),
    ("Granite Insurance", "granite-insurance"),
    ("Harbor Textiles", "harbor-textiles"),
    ("Indigo Learning", "indigo-learning"),
    ("Juniper Health", "juniper-health"),
    ("Kite Mobility", "kite-mobility"),
    ("Lantern Media", "lantern-media"),
    ("Meridian Steel", "meridian-steel"),
    ("Northwind Garden", "northwind-garden"),
    ("Orchard Payments", "orchard-payments"),
    ("Pinecrest Homes", "pinecrest-homes"),
];

const TITLE: &[&str] = &[
    "Head of Operations",
    "Marketing Manager",
    "Chief Financial Officer",
    "IT Director",
    "Purchasing Lead",
    "Founder",
    "Sales Director",
    "Project Manager",
];

const SOURCE: &[&str] = &[
    "ORGANIC_SEARCH",
    "PAID_SEARCH",
    "EMAIL_MARKETING",
    "SOCIAL_MEDIA",
    "REFERRALS",
    "DIRECT_TRAFFIC",
    "OFFLINE",
];

/// Makes up `count` people, no two with one address.
pub fn make_up(count: usize, random: &mut fastrand::Rng) -> Vec<Person> {
    let mut taken = BTreeSet::new();
    (0..count).map(|_| one(random, &mut taken)).collect()
}

fn one(random: &mut fastrand::Rng, taken: &mut BTreeSet<String>) -> Person {
    let first = pick(random, FIRST);
    let last = pick(random, LAST);
    let (company, domain) = pick(random, COMPANY);
    let plain = format!("{first}.{last}").to_lowercase();
    let mut email = format!("{plain}@{domain}.example.com");
    let mut again = 2;
    while !taken.insert(email.clone()) {
        email = format!("{plain}{again}@{domain}.example.com");
        again += 1;
    }
    let score = random.u8(0..=100).min(random.u8(0..=100));
    let stage = match score {
        0..=19 => "subscriber",
        20..=59 => "lead",
        _ => "marketingqualifiedlead",
    };
    Person {
        first: first.to_owned(),
        last: last.to_owned(),
        email,
        company: company.to_owned(),
        title: pick(random, TITLE).to_owned(),
        phone: format!("+1 555 01{:02}", random.u8(0..100)),
        source: pick(random, SOURCE),
        stage,
        score,
    }
}

fn pick<T: Copy>(random: &mut fastrand::Rng, list: &[T]) -> T {
    list[random.usize(..list.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_people_and_no_address_twice() {
        let people = make_up(500, &mut fastrand::Rng::with_seed(7));
        assert_eq!(people, make_up(500, &mut fastrand::Rng::with_seed(7)));
        let addresses: BTreeSet<_> = people.iter().map(|person| &person.email).collect();
        assert_eq!(addresses.len(), 500);
        assert!(people.iter().any(|person| person.stage == "marketingqualifiedlead"));
    }
}
