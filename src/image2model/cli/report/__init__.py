"""The contact sheet of `image2model report`: one HTML file that needs nothing but itself.

Who calls it: the command. `gathering` fetches the pictures, `card` and `page` write HTML, `sheet` puts it
on disk. Names and errors come from strangers: nothing is written that `html.escape` has not seen.
"""
