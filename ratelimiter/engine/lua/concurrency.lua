-- State {string}: how many slots are taken (six bytes), then entries, eldest first, of the time in ms at which they free
-- themselves (six bytes), the nonce of the check that took them (eight bytes) and how many it took (four bytes).
-- p1 = that life in ms, p2 = the nonce.
ALGORITHMS[6] = (function()
  local HEAD, ENTRY, NONCE_AT, COUNT_AT, MAX_ENTRIES = 6, 18, 7, 15, 2048
  local pack, unpack_from, cut, find = struct.pack, struct.unpack, string.sub, string.find
  local EMPTY = pack('>I6', 0)

  local function taken_in(slots)
    return (unpack_from('>I6', slots, 1))
  end

  local function expiry_at(slots, start)
    return (unpack_from('>I6', slots, start))
  end

  local function count_at(slots, start)
    return (unpack_from('>I4', slots, start + COUNT_AT - 1))
  end

  local function live(state, now)
    local slots = state[1] or EMPTY
    local start, freed = HEAD + 1, 0
    while start < #slots and expiry_at(slots, start) <= now do
      freed = freed + count_at(slots, start)
      start = start + ENTRY
    end
    if freed == 0 then return slots end
    if start > #slots then return EMPTY end
    return pack('>I6', taken_in(slots) - freed) .. cut(slots, start)
  end

  local function measure(slots, now, limit)
    if #slots == HEAD then return limit, 0 end
    return max(0, limit - taken_in(slots)), expiry_at(slots, #slots - ENTRY + 1) - now
  end

  return {
    decide = function(state, now, cost, limit)
      local slots = live(state, now)
      state[1] = slots
      local remaining, reset = measure(slots, now, limit)
      if cost > limit then return COST_EXCEEDS_LIMIT, remaining, reset, NEVER end
      if cost <= remaining then return ALLOWED, remaining, reset, 0 end
      return CONCURRENCY_EXCEEDED, remaining, reset, NEVER
    end,

    charge = function(state, now, cost, limit, life, nonce)
      local slots = state[1]
      local last = #slots - ENTRY + 1
      if #slots < HEAD + MAX_ENTRIES * ENTRY then
        local expires = now + life
        if #slots > HEAD then expires = max(expires, expiry_at(slots, last)) end
        slots = pack('>I6', taken_in(slots) + cost) .. cut(slots, HEAD + 1) .. pack('>I6c8I4', expires, nonce, cost)
      else
        local before = count_at(slots, last)
        local count = min(before + cost, 4294967295)
        slots = pack('>I6', taken_in(slots) + count - before) .. cut(slots, HEAD + 1, -5) .. pack('>I4', count)
      end
      state[1] = slots
      local remaining, reset = measure(slots, now, limit)
      return remaining, reset, nonce
    end,

    give_back = function(state, amount, nonce)
      local slots = state[1]
      local from = HEAD + 1
      while true do
        local found = find(slots, nonce, from, true)
        if not found then return end
        local start = found - NONCE_AT + 1
        if start > HEAD and (start - HEAD - 1) % ENTRY == 0 then
          local count = count_at(slots, start)
          local given = min(amount, count)
          local rest = cut(slots, start + ENTRY)
          if given < count then rest = cut(slots, start, start + COUNT_AT - 2) .. pack('>I4', count - given) .. rest end
          state[1] = pack('>I6', taken_in(slots) - given) .. cut(slots, HEAD + 1, start - 1) .. rest
          return
        end
        from = found + 1
      end
    end,

    life = function(state, now)
      if #state[1] == HEAD then return 1 end
      return max(1, expiry_at(state[1], #state[1] - ENTRY + 1) - now)
    end,
  }
end)()
