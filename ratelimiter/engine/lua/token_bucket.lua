-- State {tick, level in 1/W tokens}; p1 = window in ms, p2 = burst in tokens. One tick refills `limit` of 1/W token.
-- Waits add the small difference of clock and tick last: tick + wait could pass 2^53, where doubles lose the ms.
ALGORITHMS[3] = (function()
  local DAY = 86400000

  local function unit_of(window)
    if window <= DAY then return 1 end
    return 1000
  end

  local function reset_of(state, now, limit, unit, full)
    if state[2] == full then return 0 end
    return ceil((full - state[2]) / limit) * unit + (state[1] * unit - now)
  end

  return {
    decide = function(state, now, cost, limit, window, burst)
      local unit = unit_of(window)
      local ticks, tick = window / unit, floor(now / unit)
      local full = burst * ticks
      if state[1] == nil then
        state[1], state[2] = tick, full
      elseif state[1] < tick then
        state[2] = min(full, state[2] + (tick - state[1]) * limit)
        state[1] = tick
      else
        state[2] = min(full, state[2])
      end
      local remaining = floor(state[2] / ticks)
      if cost > burst then return COST_EXCEEDS_LIMIT, remaining, reset_of(state, now, limit, unit, full), NEVER end
      if cost * ticks <= state[2] then return ALLOWED, remaining, reset_of(state, now, limit, unit, full), 0 end
      local wait = ceil((cost * ticks - state[2]) / limit) * unit + (state[1] * unit - now)
      return DENIED, remaining, wait, wait
    end,

    charge = function(state, now, cost, limit, window, burst)
      local unit = unit_of(window)
      local ticks = window / unit
      local taken = min(state[2], min(cost, burst) * ticks)
      state[2] = state[2] - taken
      return floor(state[2] / ticks), reset_of(state, now, limit, unit, burst * ticks), taken
    end,

    -- A bucket that is fuller than full is cut to size when it is settled.
    give_back = function(state, amount, mark, window)
      state[2] = state[2] + min(mark, amount * (window / unit_of(window)))
    end,

    life = function(state, now, limit, window, burst)
      local unit = unit_of(window)
      return max(1, reset_of(state, now, limit, unit, burst * window / unit))
    end,
  }
end)()
