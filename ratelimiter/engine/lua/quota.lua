-- State {checks of the period}. No rule counts by it: what a lease debited and did not use is given back.
ALGORITHMS[7] = {
  give_back = function(state, amount)
    state[1] = max(0, state[1] - amount)
  end,
}
