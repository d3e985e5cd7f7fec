//! The built-in scenarios.

use scenarios::plan::Plan;
use scenarios::{Overrides, library, plan};

#[test]
fn every_built_in_scenario_plans_for_200_seeds() {
    for scenario in library() {
        for seed in 0..200 {
            let drawn = plan(scenario, seed, &Overrides::default()).unwrap();
            let text = drawn.to_toml();
            assert_eq!(Plan::from_toml("plan.toml", &text).unwrap(), drawn);
        }
    }
    println!(
        "{}",
        plan(&library()[2], 42, &Overrides::default())
            .unwrap()
            .to_toml()
    );
    println!(
        "{}",
        plan(&library()[4], 42, &Overrides::default())
            .unwrap()
            .to_toml()
    );
}
