-- State {cell, current, previous}; p1 = window in ms. The arithmetic is explained in ../algorithms/sliding_window.py.
ALGORITHMS[1] = (function()
  local SCALE, MAX_CELL = 65536, 4294967296

  local function used(state, elapsed, window)
    local weight = ceil((window - max(0, elapsed)) * SCALE / window)
    return state[2] + ceil(state[3] * weight / SCALE)
  end

  local function elapsed_when_fits(units, room, window)
    if units <= room then return 0 end
    return window - floor(floor(room * SCALE / units) * window / SCALE)
  end

  local function settle(state, now, window)
    local cell = floor(now / window)
    local stored = state[1]
    if stored == nil then
      state[1], state[2], state[3] = cell, 0, 0
    elseif stored < cell then
      state[3] = stored == cell - 1 and state[2] or 0
      state[1], state[2] = cell, 0
    end
    return now - state[1] * window
  end

  return {
    decide = function(state, now, cost, limit, window)
      local elapsed = settle(state, now, window)
      local remaining = max(0, limit - used(state, elapsed, window))
      local left = window - elapsed
      if cost > limit then return COST_EXCEEDS_LIMIT, remaining, left, NEVER end
      if cost <= remaining then return ALLOWED, remaining, left, 0 end
      local room, wait = limit - cost - state[2], nil
      if room >= 0 then
        wait = elapsed_when_fits(state[3], room, window) - elapsed
      else
        wait = left + elapsed_when_fits(state[2], limit - cost, window)
      end
      return DENIED, remaining, wait, wait
    end,

    charge = function(state, now, cost, limit, window)
      state[2] = min(state[2] + cost, MAX_CELL)
      local elapsed = now - state[1] * window
      return max(0, limit - used(state, elapsed, window)), window - elapsed, state[1]
    end,

    give_back = function(state, amount, mark)
      if mark == state[1] then
        state[2] = max(0, state[2] - amount)
      elseif mark == state[1] - 1 then
        state[3] = max(0, state[3] - amount)
      end
    end,

    life = function(state, now, limit, window)
      return 2 * window - (now - state[1] * window)
    end,
  }
end)()
