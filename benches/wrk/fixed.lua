-- One request again and again: the URL and headers of wrk's command line.

dofile("benches/wrk/report.lua")
