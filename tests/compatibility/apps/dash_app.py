"""Dash: a page with one callback."""

import time

from dash import Dash, Input, Output, dcc, html

dash = Dash(__name__, use_async=False)
dash.layout = html.Div([dcc.Input(id="name", value="world", type="text"), html.P(id="greeting")])
app = dash.server


@dash.callback(Output("greeting", "children"), Input("name", "value"))
def greet(name):
    time.sleep(0.1)
    return f"Hello, {name}!"
