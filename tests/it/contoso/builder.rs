//! How a story asks for the Contoso that it needs: everything that differs from the usual one by name.

use std::sync::Arc;

use roombridge::domain::tenant::policy::{ContentPolicy, ResponseMode};
use roombridge::identity::keys::KeySource;
use world::azurite::Azurite;
use world::entra::CloudHosts;
use world::exchange::{Mailbox, Oddities, Processing, RoomRules, Tenant};
use world::local::LocalWorld;
use world::microsoft::Microsoft;
use world::test_world::{Fixtures, Storage, TestWorld, TestWorldOptions};

use super::Contoso;
use crate::TestError;

/// A calendar that Roombridge may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Anna,
    Ben,
    Cleo,
    Aurora,
    Borealis,
}

/// Says what the story needs; [`ContosoBuilder::open`] makes it.
pub(crate) struct ContosoBuilder {
    name: &'static str,
    connected: bool,
    options: TestWorldOptions,
    on_azurite: bool,
    content: ContentPolicy,
    followed: Vec<Who>,
    guests: Vec<&'static str>,
    aurora: Processing,
    borealis: Processing,
    room_rules: RoomRules,
    oddities: Oddities,
}

impl Default for ContosoBuilder {
    /// Anna, Cleo and both rooms are followed; Ben has not agreed.
    fn default() -> Self {
        Self {
            name: "Contoso",
            connected: true,
            options: TestWorldOptions { seed: 1, ..TestWorldOptions::default() },
            on_azurite: false,
            content: ContentPolicy::default(),
            followed: vec![Who::Anna, Who::Cleo, Who::Aurora, Who::Borealis],
            guests: Vec::new(),
            aurora: Processing::AutoUpdate,
            borealis: Processing::AutoAccept,
            room_rules: RoomRules::default(),
            oddities: Oddities::default(),
        }
    }
}

impl ContosoBuilder {
    /// What the random draws follow from.
    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Rows and messages are in the storage emulator.
    pub(crate) fn on_azurite(mut self) -> Self {
        self.on_azurite = true;
        self
    }

    /// In another of Microsoft's clouds.
    pub(crate) fn cloud(mut self, hosts: CloudHosts) -> Self {
        self.options.hosts = hosts;
        self
    }

    /// The operator chose the wider permission to read people.
    pub(crate) fn reads_full_profiles(mut self) -> Self {
        self.options.reads_full_profiles = true;
        self
    }

    /// The client-state keys come from here.
    pub(crate) fn keys(mut self, keys: Arc<dyn KeySource>) -> Self {
        self.options.client_state_keys = Some(keys);
        self
    }

    /// What the tenant decided about its meetings' content.
    pub(crate) fn content(mut self, content: ContentPolicy) -> Self {
        self.content = content;
        self
    }

    /// Another name for the organisation.
    pub(crate) fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Roombridge has invited the organisation, which does not know of it: nobody has
    /// consented, nobody is followed.
    pub(crate) fn unconnected(mut self) -> Self {
        self.connected = false;
        self.followed.clear();
        self
    }

    /// These calendars are followed from the start, and no others. A story that is played hundreds of
    /// times names only those that it needs.
    pub(crate) fn followed(mut self, followed: &[Who]) -> Self {
        self.followed = followed.to_vec();
        self
    }

    /// More people, who have not agreed: [`Contoso::guests`] in this order.
    pub(crate) fn guests(mut self, names: &[&'static str]) -> Self {
        self.guests = names.to_vec();
        self
    }

    /// How Exchange handles requests to the two rooms. Roombridge answers for a room that only notes them.
    pub(crate) fn rooms(mut self, aurora: Processing, borealis: Processing) -> Self {
        (self.aurora, self.borealis) = (aurora, borealis);
        self
    }

    /// What both rooms' calendars keep and take.
    pub(crate) fn room_rules(mut self, rules: RoomRules) -> Self {
        self.room_rules = rules;
        self
    }

    /// How many events Graph shows oddly: a quarter has some null, if the story does not say otherwise.
    pub(crate) fn oddities(mut self, oddities: Oddities) -> Self {
        self.oddities = oddities;
        self
    }

    /// The organisation in a world of its own, once all that follows from its set-up has happened.
    pub(crate) async fn open(self) -> Result<Contoso, TestError> {
        let contoso = self.prepare().await?;
        contoso.world.run_until_idle().await;
        Ok(contoso)
    }

    /// The same before anything has run: the people who agreed wait to be subscribed.
    pub(crate) async fn prepare(mut self) -> Result<Contoso, TestError> {
        if self.on_azurite {
            let storage = Storage::azure(&Azurite::shared().await?.connect()?).await?;
            self.options.storage = Some(storage);
        }
        let world = TestWorld::with_options(std::mem::take(&mut self.options))?;
        let tenant = match self.connected {
            true => world.microsoft.tenant(self.name),
            false => world.add_invited_tenant(self.name),
        };
        let contoso = self.hire(world, tenant, |world| &world.microsoft);
        if self.connected {
            self.connect(&contoso, &contoso.world.fixtures()).await?;
        }
        Ok(contoso)
    }

    /// The organisation in `world`, where a real handler works: once all its calendars are followed.
    pub(crate) async fn open_in(self, world: LocalWorld) -> Result<Contoso<LocalWorld>, TestError> {
        let tenant = world.microsoft.tenant(self.name);
        let contoso = self.hire(world, tenant, |world| &world.microsoft);
        self.connect(&contoso, &contoso.world.fixtures).await?;
        let graph = &contoso.world.microsoft.graph;
        let all = async || Ok((graph.subscriptions().len() == self.followed.len()).then_some(()));
        contoso.world.wait_for("every calendar is subscribed", all).await?;
        Ok(contoso)
    }

    /// Everybody there is. The order counts: each of them draws an id, and seeds are recorded.
    fn hire<W>(
        &self,
        world: W,
        tenant: Tenant,
        microsoft: impl Fn(&W) -> &Microsoft,
    ) -> Contoso<W> {
        microsoft(&world).exchange.set_oddities(self.oddities);
        // The administrator of a connected organisation was asked before the story begins.
        let ada = match self.connected {
            true => String::new(),
            false => microsoft(&world).add_administrator(&tenant, "Ada"),
        };
        let [anna, ben, cleo] = ["Anna", "Ben", "Cleo"].map(|name| tenant.person(name));
        let guests = self.guests.iter().map(|name| tenant.person(name)).collect();
        let aurora = tenant.room("Aurora", self.aurora);
        let borealis = tenant.room("Borealis", self.borealis);
        for room in [&aurora, &borealis] {
            room.set_rules(self.room_rules);
        }
        Contoso { world, tenant, ada, anna, ben, cleo, guests, aurora, borealis }
    }

    async fn connect<W>(&self, contoso: &Contoso<W>, fixtures: &Fixtures) -> Result<(), TestError> {
        fixtures.connect(&contoso.tenant, self.content.clone()).await?;
        for who in &self.followed {
            let calendar = contoso.calendar(*who);
            match who {
                Who::Anna | Who::Ben | Who::Cleo => fixtures.agree(calendar).await?,
                Who::Aurora => fixtures.manage_room(calendar, answering(self.aurora)).await?,
                Who::Borealis => fixtures.manage_room(calendar, answering(self.borealis)).await?,
            }
        }
        Ok(())
    }
}

/// Two that answer would contradict each other.
fn answering(processing: Processing) -> ResponseMode {
    match processing {
        Processing::AutoUpdate => ResponseMode::RoombridgeDecides,
        Processing::AutoAccept => ResponseMode::ExchangeDecides,
    }
}

impl<W> Contoso<W> {
    /// The calendar of `who`.
    pub(crate) fn calendar(&self, who: Who) -> &Mailbox {
        match who {
            Who::Anna => &self.anna,
            Who::Ben => &self.ben,
            Who::Cleo => &self.cleo,
            Who::Aurora => &self.aurora,
            Who::Borealis => &self.borealis,
        }
    }
}
