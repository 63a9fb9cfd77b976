-- The rules of ledger.py for Redis, as one script, so that nobody sees a request half done.
-- KEYS: for each account a hash with its page, then a sorted set with its reservations by expiry.
-- ARGV: see redis_store.py. Slots are 1 day/tokens, 2 day/usd, 3 month/tokens, 4 month/usd.
-- Members of the sorted set: "id:tokens:nanos:day:month" for a reservation, "=id" for a settled one.
local verb, id, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local member = id .. ':' .. ARGV[4] .. ':' .. ARGV[5] .. ':'
local reserved = {tonumber(ARGV[4]), tonumber(ARGV[5])}
local used = {tonumber(ARGV[6]), tonumber(ARGV[7])}
local wanted = {tonumber(ARGV[8]), tonumber(ARGV[10])}
local granted = {tonumber(ARGV[11]), tonumber(ARGV[12])}
local step_back, remembered, keep = tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
local KIND, PERIOD, FIRST = {1, 2, 1, 2}, {1, 1, 2, 2}, 15

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if now < wanted[1] or now >= tonumber(ARGV[9]) then
  return {'stale', now}
end

local function text(number)
  return string.format('%.0f', number)
end

-- The pages.
local pages = {}
local starts = {wanted[1], wanted[2]}
for number = 1, #KEYS / 2 do
  local page = {key = KEYS[2 * number - 1], holds = KEYS[2 * number], limits = {}, warnings = {}, told_w = {}, told_x = {}}
  local values = redis.call('HMGET', page.key, 'd', 'm', 'u1', 'u2', 'u3', 'u4', 'h1', 'h2', 'h3', 'h4',
    'w1', 'w2', 'w3', 'w4', 'x1', 'x2', 'x3', 'x4')
  for place = 1, 18 do
    values[place] = tonumber(values[place] or 0)
  end
  page.starts = {values[1], values[2]}
  page.used = {values[3], values[4], values[5], values[6]}
  page.held = {values[7], values[8], values[9], values[10]}
  page.warned = {values[11], values[12], values[13], values[14]}
  page.exhausted = {values[15], values[16], values[17], values[18]}
  for slot = 1, 4 do
    page.limits[slot] = tonumber(ARGV[FIRST + (number - 1) * 8 + slot])
    page.warnings[slot] = tonumber(ARGV[FIRST + (number - 1) * 8 + 4 + slot])
    page.told_w[slot], page.told_x[slot] = 0, 0
  end
  for period = 1, 2 do
    if page.starts[period] > starts[period] and page.starts[period] <= now + step_back then
      starts[period] = page.starts[period]
    end
  end
  pages[number] = page
end

local function give_back(page, one)
  local tokens, nanos, day, month = string.match(one, ':(%d+):(%d+):(%d+):(%d+)$')
  local amounts, theirs = {tonumber(tokens), tonumber(nanos)}, {tonumber(day), tonumber(month)}
  for slot = 1, 4 do
    if theirs[PERIOD[slot]] == page.starts[PERIOD[slot]] then
      page.held[slot] = page.held[slot] - amounts[KIND[slot]]
    end
  end
end

for _, page in ipairs(pages) do
  for slot = 1, 4 do
    if page.starts[PERIOD[slot]] ~= starts[PERIOD[slot]] then
      page.used[slot], page.held[slot], page.warned[slot], page.exhausted[slot] = 0, 0, 0, 0
    end
  end
  page.starts = starts
  for _, one in ipairs(redis.call('ZRANGEBYSCORE', page.holds, '-inf', now)) do
    if string.sub(one, 1, 1) ~= '=' then
      give_back(page, one)
    end
    redis.call('ZREM', page.holds, one)
  end
end

-- What is asked.
local refused_account, refused_slot = 0, 0

local function too_small(page)
  for slot = 1, 4 do
    local limit, taken = page.limits[slot], page.used[slot] + page.held[slot]
    if limit >= 0 and (taken >= limit or taken + reserved[KIND[slot]] > limit) then
      return slot
    end
  end
  return 0
end

if verb == 'reserve' then
  member = member .. text(starts[1]) .. ':' .. text(starts[2])
  local is_there = false
  for _, page in ipairs(pages) do
    is_there = is_there or redis.call('ZSCORE', page.holds, member)
  end
  if not is_there then
    for number, page in ipairs(pages) do
      local slot = too_small(page)
      if slot > 0 then
        refused_account, refused_slot = number, slot
        if page.exhausted[slot] == 0 then
          page.exhausted[slot], page.told_x[slot] = 1, 1
        end
        break
      end
    end
    if refused_account == 0 then
      for _, page in ipairs(pages) do
        redis.call('ZADD', page.holds, now + ttl, member)
        for slot = 1, 4 do
          page.held[slot] = page.held[slot] + reserved[KIND[slot]]
        end
      end
    end
  end
elseif verb ~= 'read' then
  member = member .. text(granted[1]) .. ':' .. text(granted[2])
  for _, page in ipairs(pages) do
    if not redis.call('ZSCORE', page.holds, '=' .. id) then
      redis.call('ZADD', page.holds, now + remembered, '=' .. id)
      if redis.call('ZREM', page.holds, member) == 1 then
        give_back(page, member)
      end
      for slot = 1, 4 do
        local begun = granted[PERIOD[slot]]
        if verb == 'settle' and (begun == 0 or begun == starts[PERIOD[slot]]) then
          page.used[slot] = page.used[slot] + used[KIND[slot]]
        end
      end
    end
  end
end

-- The answer.
local answer = {refused_account == 0 and 'ok' or 'refused', now, starts[1], starts[2], refused_account, refused_slot}
for _, page in ipairs(pages) do
  for slot = 1, verb == 'read' and 0 or 4 do
    if page.warnings[slot] >= 0 and page.used[slot] >= page.warnings[slot] and page.warned[slot] == 0 then
      page.warned[slot], page.told_w[slot] = 1, 1
    end
    if page.limits[slot] > 0 and page.used[slot] >= page.limits[slot] and page.exhausted[slot] == 0 then
      page.exhausted[slot], page.told_x[slot] = 1, 1
    end
  end
  for _, part in ipairs({page.used, page.held, page.told_w, page.told_x}) do
    for slot = 1, 4 do
      answer[#answer + 1] = part[slot]
    end
  end
  local fields = {'d', text(starts[1]), 'm', text(starts[2])}
  for name, part in pairs({u = page.used, h = page.held, w = page.warned, x = page.exhausted}) do
    for slot = 1, 4 do
      fields[#fields + 1] = name .. slot
      fields[#fields + 1] = text(part[slot])
    end
  end
  redis.call('HSET', page.key, unpack(fields))
  redis.call('PEXPIRE', page.key, keep)
  redis.call('PEXPIRE', page.holds, keep)
end
return answer
