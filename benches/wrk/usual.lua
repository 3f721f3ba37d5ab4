-- What visitors ask for: KIND POSTS [FILE], with a file that has a post to publish, as JSON. The token of its author is in
-- wrk's headers.

dofile("benches/wrk/report.lua")

local state, posts, kind, head, tail, publishing

-- From 1 to n, by the generator of Park and Miller: its products fit a double.
local function dice(n)
    state = state * 16807 % 2147483647
    return state % n + 1
end

local paths = {
    post = function() return "/post/" .. dice(posts) end,
    top = function() return "/post/?page=1&size=20" end,
    middle = function() return "/post/?page=" .. math.floor(posts / 40) .. "&size=20" end,
    -- Any page of all.
    pages = function() return "/post/?page=" .. dice(math.floor(posts / 20)) .. "&size=20" end,
    -- Lists of authors and tags, of any size: hardly one is asked for twice.
    cold = function()
        if dice(2) == 1 then
            return "/post/?author=" .. dice(1000) .. "&size=" .. 19 + dice(30)
        end
        return "/post/?tag=tag-" .. dice(99) .. "&size=" .. 19 + dice(30) .. "&page=" .. dice(30)
    end,
    -- A number, which is in one title.
    number = function() return "/post/?q=" .. 99 + dice(posts - 99) .. "&size=20" end,
    first = function() return "/post/?page=" .. dice(50) .. "&size=20" end,
}

function init(args)
    kind, posts = args[1], tonumber(args[2])
    -- Another one for each run: what was asked for before is not what is measured.
    state = (os.time() * 31 + number * 7919) % 2147483646 + 1
    head = "GET "
    tail = " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\n\r\n"
    if args[3] then
        local file = assert(io.open(args[3], "rb"))
        wrk.method = "POST"
        wrk.path = "/post"
        wrk.headers["Content-Type"] = "application/json"
        wrk.body = file:read("*a")
        file:close()
        publishing = wrk.format()
    end
end

function request()
    local path = paths[kind]
    if kind == "mix" then
        local chance = dice(100)
        if chance <= 2 then
            return publishing
        end
        path = chance <= 10 and paths.first or paths.post
    end
    return head .. path() .. tail
end
