-- State {string}: the total before the first entry, then entries of time in ms and the total up to and with them, each
-- number six bytes, most significant first. p1 = window in ms. ../algorithms/sliding_log.py explains.
ALGORITHMS[5] = (function()
  local NUMBER, ENTRY, MAX_ENTRIES, REBASE_AT = 6, 12, 2048, 2 ^ 46
  local pack, unpack_from, cut = struct.pack, struct.unpack, string.sub

  local function count_of(log)
    return (#log - NUMBER) / ENTRY
  end

  local function time_of(log, entry)
    return (unpack_from('>I6', log, NUMBER + (entry - 1) * ENTRY + 1))
  end

  -- Entry 0 is the total before the first.
  local function total_of(log, entry)
    return (unpack_from('>I6', log, entry * ENTRY + 1))
  end

  -- The first of the entries whose `of` is at least `least`; one past the last when there is none.
  local function search(log, of, least)
    local low, high = 1, count_of(log) + 1
    while low < high do
      local middle = floor((low + high) / 2)
      if of(log, middle) >= least then high = middle else low = middle + 1 end
    end
    return low
  end

  -- Without what has left the window.
  local function live(state, now, window)
    local log = state[1] or pack('>I6', 0)
    local first = search(log, time_of, now - window + 1)
    return first == 1 and log or cut(log, (first - 1) * ENTRY + 1)
  end

  local function measure(log, now, window, limit)
    local count = count_of(log)
    if count == 0 then return max(0, limit), 0 end
    return max(0, limit - (total_of(log, count) - total_of(log, 0))), time_of(log, count) + window - now
  end

  -- With every total from `first` on made smaller by `less`; first 0 includes the base.
  local function lower(log, first, less)
    local parts = {cut(log, 1, first == 0 and 0 or NUMBER + (first - 1) * ENTRY)}
    if first == 0 then
      parts[2] = pack('>I6', total_of(log, 0) - less)
      first = 1
    end
    for entry = first, count_of(log) do
      parts[#parts + 1] = pack('>I6I6', time_of(log, entry), total_of(log, entry) - less)
    end
    return table.concat(parts)
  end

  local function thin(log)
    local parts = {cut(log, 1, NUMBER)}
    for entry = 2, MAX_ENTRIES / 2, 2 do
      parts[#parts + 1] = cut(log, NUMBER + (entry - 1) * ENTRY + 1, NUMBER + entry * ENTRY)
    end
    parts[#parts + 1] = cut(log, NUMBER + MAX_ENTRIES / 2 * ENTRY + 1)
    return table.concat(parts)
  end

  return {
    decide = function(state, now, cost, limit, window)
      local log = live(state, now, window)
      state[1] = log
      local remaining, reset = measure(log, now, window, limit)
      if cost > limit then return COST_EXCEEDS_LIMIT, remaining, reset, NEVER end
      if cost <= remaining then return ALLOWED, remaining, reset, 0 end
      local leaves = search(log, total_of, total_of(log, count_of(log)) + cost - limit)
      local wait = time_of(log, leaves) + window - now
      return DENIED, remaining, wait, wait
    end,

    charge = function(state, now, cost, limit, window)
      local log = state[1]
      local count = count_of(log)
      local total, time = total_of(log, count) + cost, now
      if count > 0 then
        local latest = time_of(log, count)
        if latest >= now then
          time = latest
          log = cut(log, 1, -ENTRY - 1)
        end
      end
      log = log .. pack('>I6I6', time, total)
      if count_of(log) > MAX_ENTRIES then log = thin(log) end
      if total > REBASE_AT then log = lower(log, 0, total_of(log, 0)) end
      state[1] = log
      local remaining, reset = measure(log, now, window, limit)
      return remaining, reset, time
    end,

    give_back = function(state, amount, mark, window, now)
      if mark + window <= now then return end
      local log = state[1]
      local entry = search(log, time_of, mark)
      if entry > count_of(log) then return end
      state[1] = lower(log, entry, min(amount, total_of(log, entry) - total_of(log, entry - 1)))
    end,

    life = function(state, now, limit, window)
      return time_of(state[1], count_of(state[1])) + window - now
    end,
  }
end)()
