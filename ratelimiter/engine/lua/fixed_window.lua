-- State {cell, current}; p1 = window in ms.
ALGORITHMS[2] = {
  decide = function(state, now, cost, limit, window)
    local cell = floor(now / window)
    if state[1] == nil or state[1] < cell then state[1], state[2] = cell, 0 end
    local remaining = max(0, limit - state[2])
    local left = window - (now - state[1] * window)
    if cost > limit then return COST_EXCEEDS_LIMIT, remaining, left, NEVER end
    if cost <= remaining then return ALLOWED, remaining, left, 0 end
    return DENIED, remaining, left, left
  end,

  charge = function(state, now, cost, limit, window)
    state[2] = min(state[2] + cost, 4294967296)
    return max(0, limit - state[2]), window - (now - state[1] * window), state[1]
  end,

  give_back = function(state, amount, mark)
    if state[1] == mark then state[2] = max(0, state[2] - amount) end
  end,

  life = function(state, now, limit, window)
    return window - (now - state[1] * window)
  end,
}
