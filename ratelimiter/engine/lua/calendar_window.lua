-- State {end of the cell in ms, current}; p1 = the end of the cell that the caller takes for the present one, p2 = of
-- the next.
ALGORITHMS[4] = {
  decide = function(state, now, cost, limit, this_end, next_end)
    local ends = now < this_end and this_end or next_end
    if state[1] == nil or state[1] < ends then state[1], state[2] = ends, 0 end
    local remaining, left = max(0, limit - state[2]), state[1] - now
    if cost > limit then return COST_EXCEEDS_LIMIT, remaining, left, NEVER end
    if cost <= remaining then return ALLOWED, remaining, left, 0 end
    return DENIED, remaining, left, left
  end,

  charge = function(state, now, cost, limit)
    state[2] = min(state[2] + cost, 4294967296)
    return max(0, limit - state[2]), state[1] - now, state[1]
  end,

  give_back = function(state, amount, mark)
    if state[1] == mark then state[2] = max(0, state[2] - amount) end
  end,

  life = function(state, now)
    return max(1, state[1] - now)
  end,
}
