-- GET /post/ID with an ID from 1 to the argument, each as likely as any other.

dofile("benches/wrk/report.lua")

local state, posts, head, tail

function init(args)
    posts = tonumber(args[1])
    state = number * 7919 + 1
    -- Put together once, and not by wrk.format for each request, which would cost as much as the answer.
    head = "GET /post/"
    tail = " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\n\r\n"
end

function request()
    -- The generator of Park and Miller: its products fit a double.
    state = state * 16807 % 2147483647
    return head .. (state % posts + 1) .. tail
end
