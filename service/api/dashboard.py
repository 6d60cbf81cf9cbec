"""placeholder"""
def mount(app, settings, url): pass
