-- All rules of a call in one round trip: `deciding.py` beside Redis' keys. Tests hold both to the same answers.
-- KEYS are the rules'; ARGV[1], packed: what to do, the clock (0: Redis' own), the decision's id, and for each rule
-- its algorithm, limit, window, burst, cost, stem and most subjects, and whether it is a shadow (decide, peek); or what
-- was taken (settle, extend).
-- Numbers are doubles, exact below 2^53: `scaled` divides what may pass that digit by digit.

local MOST_UNITS, LONGEST_MS, CELLS = 2 ^ 52, 2 ^ 42, 60
local PRUNED, PRUNED_WHEN_FULL, INDEX_KEPT_MS = 2, 100, 3600000
local action, now, id, rules = unpack(cmsgpack.unpack(ARGV[1]))
local is_own_clock = now == 0
if is_own_clock then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function divided(number, by)
    local rest = math.fmod(number, by)
    return (number - rest) / by, rest
end

-- number * by / of and what is left, for of <= 2^40; exact as far as the result is below 2^53.
local function scaled(number, by, of)
    if number * by < 2 ^ 53 then
        return divided(number * by, of)
    end
    local high, low = divided(by, 4096)
    local whole, rest = scaled(number, high, of)
    local times, left = divided(number, of)
    local more, last = divided(rest * 4096 + left * low, of)
    return whole * 4096 + times * low + more, last
end

local function read(key)
    local packed = redis.call('GET', key)
    return packed and cmsgpack.unpack(packed)
end

local function write(key, state, kept_ms)
    if kept_ms == 0 then
        redis.call('DEL', key)
    elseif is_own_clock then
        redis.call('SET', key, cmsgpack.pack(state), 'PX', kept_ms)
    else
        redis.call('SET', key, cmsgpack.pack(state))
    end
end

-- A level: units, part, window, at, burst.

local gcra = {}

function gcra.look(key, rule)
    local level = read(key)
    if not level then
        return { 0, 0, rule.window, now, rule.burst }, false, true
    end
    local units, part, window, at, burst = unpack(level)
    if window ~= rule.window then
        local rest
        part, rest = scaled(part, rule.window, window)
        part = part + (rest > 0 and 1 or 0)
        if part == rule.window then
            units, part = units + 1, 0
        end
    end
    local lowered = (burst or 0) - rule.burst
    if lowered > 0 then
        if units - lowered >= rule.burst then
            units = units - lowered
        elseif units >= rule.burst then
            units, part = rule.burst, 0
        end
    end
    if at < now then
        local whole, rest = scaled(rule.limit, now - at, rule.window)
        units, part = units - whole, part - rest
        if part < 0 then
            units, part = units - 1, part + rule.window
        end
        if units < 0 then
            units, part = 0, 0
        end
    end
    return { units, part, rule.window, now, rule.burst }, at > now
end

local function leaking_ms(units, part, rule)
    local whole, rest = scaled(units, rule.window, rule.limit)
    local more, left = divided(rest + part, rule.limit)
    return math.min(LONGEST_MS, whole + more + (left > 0 and 1 or 0))
end

function gcra.wait(level, rule)
    if rule.cost > rule.burst then
        return -1
    end
    local excess = level[1] + rule.cost - rule.burst
    if excess < 0 or (excess == 0 and level[2] == 0) then
        return 0
    end
    return leaking_ms(excess, level[2], rule)
end

function gcra.remaining(level, rule)
    return math.max(0, rule.burst - level[1] - (level[2] > 0 and 1 or 0))
end

function gcra.reset(level, rule)
    return leaking_ms(level[1], level[2], rule)
end

function gcra.take(level, rule, quantity)
    level[1] = math.min(MOST_UNITS, level[1] + quantity)
end

function gcra.give_back(level, rule, quantity, taken_at, reset)
    local units, part = quantity, 0
    if now > taken_at then
        local held, rest = scaled(rule.limit, math.max(0, reset - 1 - (now - taken_at)), rule.window)
        if held < quantity then
            units, part = held, rest
        end
    end
    level[1], level[2] = level[1] - units, level[2] - part
    if level[2] < 0 then
        level[1], level[2] = level[1] - 1, level[2] + rule.window
    end
    if level[1] < 0 then
        level[1], level[2] = 0, 0
    end
end

function gcra.keep(key, level, rule)
    write(key, level, gcra.reset(level, rule))
end

-- Cells: at, quantity, at, quantity, ..., oldest first; beside them their total.

local window = {}

local function add(cells, at, quantity)
    local count = #cells
    if cells[count - 1] == at then
        cells[count] = cells[count] + quantity
    else
        cells[count + 1], cells[count + 2] = at, quantity
    end
end

local function within(cells, rule)
    if #cells == 0 or (cells[1] + rule.window > now and cells[#cells - 1] <= now) then
        return cells
    end
    local kept = {}
    for i = 1, #cells, 2 do
        if cells[i] + rule.window > now then
            add(kept, math.min(cells[i], now), cells[i + 1])
        end
    end
    return kept
end

function window.look(key, rule)
    local stored, total = read(key) or {}, 0
    local cells = within(stored, rule)
    for i = 2, #cells, 2 do
        total = total + cells[i]
    end
    return { cells = cells, total = total }, #stored > 0 and stored[#stored - 1] > now, #stored == 0
end

function window.wait(state, rule)
    if rule.cost > rule.limit then
        return -1
    end
    local cells, excess, wait, i = state.cells, state.total + rule.cost - rule.limit, 0, 1
    while excess > 0 do
        excess, wait, i = excess - cells[i + 1], cells[i] + rule.window - now, i + 2
    end
    return math.min(LONGEST_MS, wait)
end

function window.remaining(state, rule)
    return math.max(0, rule.limit - state.total)
end

function window.reset(state, rule)
    local cells = state.cells
    return #cells > 0 and math.min(LONGEST_MS, cells[#cells - 1] + rule.window - now) or 0
end

local function coarser(cells, rule)
    local cell, made, count, last = math.ceil(rule.window / CELLS), {}, 0, nil
    for i = 1, #cells, 2 do
        local number = math.floor(cells[i] / cell)
        if number == last then
            made[count - 1], made[count] = cells[i], made[count] + cells[i + 1]
        else
            made[count + 1], made[count + 2] = cells[i], cells[i + 1]
            count, last = count + 2, number
        end
    end
    return made
end

function window.take(state, rule, quantity)
    quantity = math.min(quantity, MOST_UNITS - state.total)
    if quantity > 0 then
        add(state.cells, now, quantity)
        state.total = state.total + quantity
        if #state.cells > 2 * CELLS then
            state.cells = coarser(state.cells, rule)
        end
    end
end

function window.give_back(state, rule, quantity, taken_at)
    local cells, i = state.cells, 1
    if #cells == 0 or taken_at + rule.window <= now then
        return
    end
    while i < #cells - 1 and cells[i] < taken_at do
        i = i + 2
    end
    if cells[i + 1] > quantity then
        cells[i + 1] = cells[i + 1] - quantity
    else
        table.remove(cells, i)
        table.remove(cells, i)
    end
end

function window.keep(key, state, rule)
    write(key, state.cells, window.reset(state, rule))
end

-- Leases are a sorted set of ids by their end, so they are their own state.

local leases = {}

local function ends(key, rank)
    return tonumber(redis.call('ZRANGE', key, rank, rank, 'WITHSCORES')[2])
end

function leases.look(key, rule)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    local latest = now + rule.window
    for _, ahead in ipairs(redis.call('ZRANGE', key, '(' .. string.format('%.0f', latest), '+inf', 'BYSCORE')) do
        redis.call('ZADD', key, latest, ahead)
    end
    local count = redis.call('ZCARD', key)
    return { key = key, count = count }, false, count == 0
end

function leases.wait(held, rule)
    local excess = held.count + 1 - rule.limit
    return excess > 0 and math.min(LONGEST_MS, ends(held.key, excess - 1) - now) or 0
end

function leases.remaining(held, rule)
    return math.max(0, rule.limit - held.count)
end

function leases.reset(held)
    return held.count > 0 and math.min(LONGEST_MS, ends(held.key, -1) - now) or 0
end

function leases.take(held, rule)
    held.count = held.count + redis.call('ZADD', held.key, now + rule.window, id)
end

function leases.give_back(held)
    held.count = held.count - redis.call('ZREM', held.key, id)
end

function leases.keep(key, held)
    if is_own_clock and held.count > 0 then
        redis.call('PEXPIRE', key, leases.reset(held))
    end
end

local ALGORITHMS = { gcra = gcra, window = window, leases = leases }

-- Who has a state stands in an index, by when it was to end when it began. An entry that is due is looked at: it goes,
-- or says anew when its key ends. So a call of a known subject costs nothing here.

local function index_of(key, stem)
    return string.sub(key, 1, stem) .. ':subjects'
end

local function prune(index, stem, key, count)
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, count)) do
        local left = redis.call('PTTL', string.sub(key, 1, stem) .. name)
        if left > 0 then
            redis.call('ZADD', index, now + left, name)
        else
            redis.call('ZREM', index, name)
        end
    end
end

local function has_room(key, stem, most)
    local index = index_of(key, stem)
    if redis.call('ZCARD', index) < most then
        return true
    end
    prune(index, stem, key, PRUNED_WHEN_FULL)
    return redis.call('ZCARD', index) < most
end

local function shared_key(key, stem, name)
    local bucket = string.sub(redis.sha1hex(string.sub(key, stem + 1)), 1, 2)
    return string.sub(key, 1, stem) .. ':~' .. bucket .. ':' .. name
end

-- What takes from a subject without a state, while there are as many as may be, takes from a shared one.
local function looked_at(key, given, takes)
    local name, limit, length, burst, cost, stem, most = unpack(given)
    local rule = { limit = limit, window = length, burst = burst, cost = cost }
    local algorithm, is_shared = ALGORITHMS[name], false
    local state, is_ahead, is_new = algorithm.look(key, rule)
    if takes and is_new and stem > 0 and not has_room(key, stem, most) then
        key, is_shared = shared_key(key, stem, name), true
        state, is_ahead = algorithm.look(key, rule)
    end
    if is_ahead then
        algorithm.keep(key, state, rule)
    end
    local begins = is_new and stem > 0 and not is_shared and stem
    return { key = key, algorithm = algorithm, rule = rule, state = state, is_shared = is_shared, begins = begins }
end

local function keep(look)
    look.algorithm.keep(look.key, look.state, look.rule)
    local kept_ms = look.begins and look.algorithm.reset(look.state, look.rule) or 0
    if kept_ms > 0 then
        local index = index_of(look.key, look.begins)
        prune(index, look.begins, look.key, PRUNED)
        redis.call('ZADD', index, now + kept_ms, string.sub(look.key, look.begins + 1))
        if is_own_clock then
            local longest_ms = look.rule.window * math.max(1, look.rule.burst / look.rule.limit)
            local lasting_ms = math.min(LONGEST_MS, math.ceil(2 * longest_ms)) + INDEX_KEPT_MS
            redis.call('PEXPIRE', index, math.max(redis.call('PTTL', index), lasting_ms))
        end
    end
end

local function decide()
    local looks, takes = {}, action == 'decide'
    for i, given in ipairs(rules) do
        local look = looked_at(KEYS[i], given, true)
        look.wait = look.algorithm.wait(look.state, look.rule)
        takes = takes and (look.wait == 0 or given[8])
        looks[i] = look
    end
    local reply = { now }
    for _, look in ipairs(looks) do
        local algorithm, state, rule = look.algorithm, look.state, look.rule
        if takes and look.wait == 0 then
            algorithm.take(state, rule, rule.cost)
            keep(look)
        end
        local count = #reply
        reply[count + 1], reply[count + 2] = algorithm.remaining(state, rule), look.wait
        reply[count + 3] = algorithm.reset(state, rule)
    end
    for i, look in ipairs(looks) do
        if look.is_shared then
            reply[#reply + 1] = i
        end
    end
    return reply
end

-- Behind each rule: when it was taken, when it would have been free again, and how much more was used.
local function settle()
    for i, given in ipairs(rules) do
        local taken_at, reset, change = given[8], given[9], given[10]
        local look = looked_at(KEYS[i], given, change > 0)
        if change > 0 and look.algorithm ~= leases then
            look.algorithm.take(look.state, look.rule, change)
        else
            look.algorithm.give_back(look.state, look.rule, -change, taken_at, reset)
        end
        keep(look)
    end
    return { now }
end

local function extend()
    local reply = { 1 }
    for i, given in ipairs(rules) do
        local look = looked_at(KEYS[i], given, false)
        if redis.call('ZSCORE', look.key, id) then
            redis.call('ZADD', look.key, now + look.rule.window, id)
            leases.keep(look.key, look.state)
        else
            reply[1] = 0
        end
    end
    return reply
end

if action == 'settle' then
    return settle()
elseif action == 'extend' then
    return extend()
end
return decide()
