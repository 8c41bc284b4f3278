-- State {breaches, end of their window, length of the last block (0 = none yet), its end}; limit = breaches that lead to
-- a block, p1 = the time in ms within which they count, p2 = length in ms of the first block. Charges nothing.
ALGORITHMS[9] = {
  decide = function(state, now)
    local left = (state[4] or 0) - now
    if left > 0 then return BLOCKED, 0, left, NEVER end
    return ALLOWED, 0, 0, 0
  end,

  strike = function(state, now, breaches, within, first_length)
    if state[1] == nil or now >= state[2] then state[1], state[2] = 0, now + within end
    state[1] = state[1] + 1
    state[3], state[4] = state[3] or 0, state[4] or 0
    if state[1] < breaches then return end
    local length = first_length
    if state[3] > 0 and now < state[4] + state[3] then length = min(2 * state[3], 64 * first_length) end
    state[1], state[2], state[3], state[4] = 0, now, length, now + length
  end,

  life = function(state, now)
    return max(1, state[2] - now, state[4] + state[3] - now)
  end,
}
