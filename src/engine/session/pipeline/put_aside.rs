//! Stages that start over, and what they were before, as long as somebody holds it.

use super::best_of_n::LiveBestOfN;
use super::likelihood::LiveLikelihood;
use super::ppo::LivePpo;
use super::reward_model::RewardModelRoom;
use super::{Pipeline, Policy, dpo, preferences};
use crate::engine::protocol::Stage;
use klimb_align::algorithms::Dpo;
use klimb_lab::{PairOrder, PreferenceData};
use klimb_network::backend::Kernels;

/// What stages had come to when they started over.
pub struct PutAside<K: Kernels>(Vec<Room<K>>);

enum Room<K: Kernels> {
    /// With its place in the pairs, and the pairs of its own, if it writes them.
    Dpo(Box<Dpo<K>>, PairOrder, Option<PreferenceData<K>>),
    RewardModel(Box<RewardModelRoom<K>>),
    Ppo(Option<LivePpo<K>>),
    PpoGt(Option<LivePpo<K>>),
    Likelihood(Policy, Option<LiveLikelihood<K>>),
    BestOfN(Option<LiveBestOfN<K>>),
}

impl<K: Kernels> Pipeline<K> {
    /// Starts stages over from the reference, on the same pairs in the same order. Answers with what they were.
    pub fn restart(&mut self, k: &mut K, stages: &[Stage]) -> PutAside<K> {
        k.forget();
        PutAside(stages.iter().filter_map(|stage| self.restart_one(k, *stage)).collect())
    }

    fn restart_one(&mut self, k: &mut K, stage: Stage) -> Option<Room<K>> {
        Some(match stage {
            Stage::Dpo => {
                let dpo = dpo::new(k, &self.network, &self.sft, &self.settings);
                let online = preferences::online(k, &self.network, &self.settings, self.given.as_deref());
                Room::Dpo(
                    Box::new(std::mem::replace(&mut self.dpo, dpo)),
                    self.data.rewind(),
                    std::mem::replace(&mut self.online, online),
                )
            }
            Stage::RewardModel => {
                Room::RewardModel(Box::new(std::mem::replace(&mut self.reward_model, RewardModelRoom::new())))
            }
            Stage::Ppo => Room::Ppo(self.ppo.take()),
            Stage::PpoGt => Room::PpoGt(self.ppo_gt.take()),
            Stage::Unlikelihood => {
                Room::Likelihood(Policy::Unlikelihood, self.likelihoods.place(Policy::Unlikelihood).take())
            }
            Stage::PreferredFt => {
                Room::Likelihood(Policy::PreferredFt, self.likelihoods.place(Policy::PreferredFt).take())
            }
            Stage::BestOfN => Room::BestOfN(self.best_of_n.take()),
            Stage::Base | Stage::Sft | Stage::Pairs => return None,
        })
    }

    /// Lets stages go on as they were. What can be set in the midst of a run is as it is set now.
    pub fn take_back(&mut self, k: &mut K, PutAside(rooms): PutAside<K>) {
        for room in rooms {
            match room {
                Room::Dpo(dpo, order, online) => {
                    (self.dpo, self.online) = (*dpo, online);
                    self.data.go_back_to(order);
                }
                Room::RewardModel(room) => self.reward_model = *room,
                Room::Ppo(live) => self.ppo = live,
                Room::PpoGt(live) => self.ppo_gt = live,
                Room::Likelihood(policy, live) => *self.likelihoods.place(policy) = live,
                Room::BestOfN(live) => self.best_of_n = live,
            }
        }
        self.dpo.configure(dpo::dpo_settings(&self.settings));
        self.configure_ppo();
        k.forget();
    }
}
