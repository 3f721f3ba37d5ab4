-- POST of the file that is the argument, as JSON; what else it takes is in wrk's headers.

dofile("benches/wrk/report.lua")

function init(args)
    local file = assert(io.open(args[1], "rb"))
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    wrk.body = file:read("*a")
    file:close()
    message = wrk.format()
end

function request()
    return message
end
