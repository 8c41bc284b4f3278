-- Decides any number of checks in one call, in order, each all or nothing: a check that is denied charges nothing.
--
-- KEYS    every key once; all string values
-- ARGV[1] MessagePack array of integers and a few strings:
--           not_after           ms of this server's time past which nothing may be written; 0 = no bound
--           per check           mode + 4 * sum of parts, cost (1 .. 2^31-1), number of evaluations,
--                               what its parts bring along, then its evaluations
--             mode              0 consume, 1 peek, 2 report, 3 give back (cost = the most to give back)
--             part  1 quota     index of its key, cap in checks (0 = none)
--             part  2 replay    index of the record's key, fingerprint of the request, life in ms
--             part  4 record    index of the record's key, life in ms
--             part  2 or 4      context: text that goes into the record(s) as it is
--             part  8 penalty   nothing; says that some evaluation is one
--             part 16 lease     units wanted beyond the cost; the quota counts each of them as a check
--             give back         index of the record's key (0 = none), 1 refund or 2 release; part 32 is always set
--           per evaluation      index into KEYS (from 1), algorithm, shadow (0 or 1; the mark when giving back),
--                               limit, p1, p2
-- ARGV[2] this server's time in ms, in tests only
-- RETURN  MessagePack array:
--           now                 this server's time in ms; it stands alone when the call came too late
--           per check           0 denied, 1 allowed (or given back), 2 the record is of another request,
--                               3 quota exhausted, 4 no such record, 16 + n allowed with a lease of n units;
--                               or the record of an earlier check with the same key, an array
--           per evaluation      verdict, remaining, reset_ms, retry_ms (-1: waiting does not help);
--                               zeros when the check was not judged; the first is the amount when giving back
-- INVARIANT no key is written without a time to live, and writes happen only after every check of the call has been
--           decided, so an error leaves no trace.

local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
local ALLOWED, DENIED, COST_EXCEEDS_LIMIT, CONCURRENCY_EXCEEDED, BLOCKED, NEVER = 0, 1, 2, 5, 6, -1
local PEEK, REPORT, GIVE_BACK = 1, 2, 3
local QUOTA, REPLAY, RECORD, PENALTY, LEASE = 1, 2, 4, 8, 16
local IS_MISMATCH, IS_EXHAUSTED, IS_MISSING, LEASED = 2, 3, 4, 16
local QUOTA_LIFE = 62 * 86400000 -- longer than any period
local ALGORITHMS = {}

--[[ALGORITHMS]]

local now
local slack = 0
if ARGV[2] then
  now = tonumber(ARGV[2])
  slack = 86400000 -- a test's clock stands while the server's runs; its counters must not expire by the latter
else
  local time = redis.call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end

local args = cmsgpack.unpack(ARGV[1])
if args[1] > 0 and now > args[1] then return cmsgpack.pack({now}) end

local raw = #KEYS > 0 and redis.call('MGET', unpack(KEYS)) or {}
local states, dirty = {}, {} -- counters by index; what was charged, by the place of the evaluation
local records, lives = {}, {} -- whole values by index, and how long they live (0: as long as before)
local reply, size = {now}, 1
local at, last = 2, #args

local function state_of(index)
  local state = states[index]
  if state == nil then
    state = raw[index] and {cmsgpack.unpack(raw[index])} or {}
    states[index] = state
  end
  return state
end

local function record_of(index)
  if records[index] == nil then records[index] = raw[index] and cmsgpack.unpack(raw[index]) or false end
  return records[index]
end

local function record_put(index, record, life)
  records[index], lives[index] = record, life
end

-- Ends a check that is not judged: its verdict, and zeros for its evaluations.
local function pass_over(verdict, count)
  reply[size + 1] = verdict
  for slot = size + 2, size + 1 + 4 * count do reply[slot] = 0 end
  size = size + 1 + 4 * count
  at = at + 6 * count
end

local function give_back(amount, count)
  local index, what = args[at], args[at + 1]
  at = at + 2
  local record
  if index > 0 then
    record = record_of(index)
    if not record then return pass_over(IS_MISSING, count) end
    amount = record[what] >= 0 and record[what] or min(amount, record[4])
  end
  if not record or record[what] < 0 then
    for position = at, at + 6 * (count - 1), 6 do
      local state = state_of(args[position])
      if state[1] ~= nil then
        ALGORITHMS[args[position + 1]].give_back(
          state, amount, args[position + 2], args[position + 4], now)
        if dirty[args[position]] == nil then dirty[args[position]] = 0 end
      end
    end
    if record then
      record[what] = amount
      lives[index] = lives[index] or 0
    end
  end
  local first = size + 2
  pass_over(1, count)
  reply[first] = amount
end

-- Takes up to `wanted` units more from every counter of a check that was allowed: at most half of what is left.
local function lease(first, wanted, slot)
  local taken, at_slot = wanted, slot
  for _ = first, at - 6, 6 do
    taken = min(taken, floor(reply[at_slot + 2] / 2))
    at_slot = at_slot + 4
  end
  if taken < 1 then return 1 end
  for position = first, at - 6, 6 do
    reply[slot + 2], reply[slot + 3] = ALGORITHMS[args[position + 1]].charge(
      states[args[position]], now, taken, args[position + 3], args[position + 4], args[position + 5])
    slot = slot + 4
  end
  return LEASED + taken
end

while at <= last do
  local mode, cost, count = args[at], args[at + 1], args[at + 2]
  if not (cost >= 1 and cost <= 2147483647 and cost == floor(cost)) then
    return redis.error_reply('ERR ratelimit: cost is not an integer from 1 to 2^31-1')
  end
  at = at + 3

  local judged = true
  local quota, quota_state, replay, fingerprint, replay_life, record, record_life, context, penal, wanted
  if mode > 3 then
    local parts = floor(mode / 4)
    mode = mode % 4
    if mode == GIVE_BACK then
      give_back(cost, count)
      judged = false
    else
      local exhausted
      if parts % 2 >= QUOTA then
        quota = args[at]
        quota_state = state_of(quota)
        exhausted = args[at + 1] > 0 and (quota_state[1] or 0) >= args[at + 1]
        at = at + 2
      end
      if parts % 4 >= REPLAY then
        replay, fingerprint, replay_life = args[at], args[at + 1], args[at + 2]
        at = at + 3
      end
      if parts % 8 >= RECORD then
        record, record_life = args[at], args[at + 1]
        at = at + 2
      end
      if replay or record then
        context = args[at]
        at = at + 1
      end
      penal = parts % 16 >= PENALTY
      if parts % 32 >= LEASE then
        wanted = args[at]
        at = at + 1
      end
      local earlier = replay and record_of(replay)
      if earlier then
        judged = false
        pass_over(earlier[1] == fingerprint and earlier or IS_MISMATCH, count)
      elseif exhausted then
        judged = false
        pass_over(IS_EXHAUSTED, count)
      end
    end
  end

  if judged then
    local first, allowed = at, true
    local verdicts = size + 1
    size = verdicts

    for _ = 1, count do
      local index = args[at]
      local state = states[index]
      if state == nil then
        state = raw[index] and {cmsgpack.unpack(raw[index])} or {}
        states[index] = state
      end
      local verdict, remaining, reset, retry =
        ALGORITHMS[args[at + 1]].decide(state, now, cost, args[at + 3], args[at + 4], args[at + 5])
      if verdict ~= ALLOWED and args[at + 2] == 0 then allowed = false end
      reply[size + 1], reply[size + 2], reply[size + 3], reply[size + 4] = verdict, remaining, reset, retry
      size = size + 4
      at = at + 6
    end

    local marks = record and {}
    local verdict = 0
    if allowed or mode == REPORT then
      local slot = verdicts
      for position = first, at - 6, 6 do
        local algorithm, mark = ALGORITHMS[args[position + 1]], false
        if (reply[slot + 1] == ALLOWED or mode == REPORT) and not (penal and algorithm.strike) then
          local index = args[position]
          local state = states[index]
          if mode == PEEK then state = {unpack(state)} else dirty[index] = position end
          reply[slot + 2], reply[slot + 3], mark = algorithm.charge(
            state, now, cost, args[position + 3], args[position + 4], args[position + 5])
          if mode == REPORT then reply[slot + 1], reply[slot + 4] = ALLOWED, 0 end
        end
        if marks then marks[#marks + 1] = mark end
        slot = slot + 4
      end
      verdict = 1
      if quota then
        quota_state[1] = (quota_state[1] or 0) + 1
        dirty[quota] = -1
      end
      if wanted then
        verdict = lease(first, wanted, verdicts)
        if quota and verdict > LEASED then quota_state[1] = quota_state[1] + verdict - LEASED end
      end
    elseif penal and mode ~= PEEK then
      local slot = verdicts
      for position = first, at - 6, 6 do
        local algorithm = ALGORITHMS[args[position + 1]]
        -- The evaluation after a penalty's is that of the rule it goes with.
        if algorithm.strike and reply[slot + 1] == ALLOWED and reply[slot + 5] == DENIED then
          algorithm.strike(states[args[position]], now, args[position + 3], args[position + 4], args[position + 5])
          dirty[args[position]] = position
        end
        slot = slot + 4
      end
    end
    reply[verdicts] = verdict

    if record and verdict >= 1 then record_put(record, {-1, -1, now, cost, context, unpack(marks)}, record_life) end
    if replay then
      record_put(replay, {fingerprint, context, now, unpack(reply, verdicts, size)}, replay_life)
    end
  end
end
if at ~= last + 1 then return redis.error_reply('ERR ratelimit: arguments end inside a check') end

for index, position in pairs(dirty) do
  local value = cmsgpack.pack(unpack(states[index]))
  if position > 0 then
    local life = ALGORITHMS[args[position + 1]].life(
      states[index], now, args[position + 3], args[position + 4], args[position + 5])
    redis.call('SET', KEYS[index], value, 'PX', life + slack)
  elseif position < 0 then
    redis.call('SET', KEYS[index], value, 'PX', QUOTA_LIFE)
  else
    redis.call('SET', KEYS[index], value, 'KEEPTTL')
  end
end
for index, life in pairs(lives) do
  if life > 0 then
    redis.call('SET', KEYS[index], cmsgpack.pack(records[index]), 'PX', life + slack)
  else
    redis.call('SET', KEYS[index], cmsgpack.pack(records[index]), 'KEEPTTL')
  end
end
return cmsgpack.pack(reply)
