# Prints templates, scrips, rights and saved searches, a row a line, for migrator (customizations.py). Changes nothing.
@Final = (sub {
  use JSON ();
  my $json = JSON->new->ascii->canonical;
  my $told = sub { my ($stream, $row) = @_; print STDOUT "\nmigrator-row: $stream ", $json->encode($row), "\n" };
  my $every = sub {
    my $all = "RT::$_[0]"->new(RT->SystemUser); $all->{'find_disabled_rows'} = 1; $all->UnLimit;
    $all->OrderBy(FIELD => 'id'); return $all;
  };
  my $person = sub { my $who = shift; return 'user: ' . ($who->EmailAddress || $who->Name) };
  my %word = ('RT::Queue' => 'queue', 'RT::Group' => 'group', 'RT::Class' => 'class', 'RT::Catalog' => 'catalog',
    'RT::CustomField' => 'custom field');
  my $scope = sub {
    my ($type, $object) = @_;
    return 'everything' if $type eq 'RT::System';
    return undef unless $object and $object->id;
    return $person->($object) if $type eq 'RT::User';
    return ($word{$type} || $type) . ': ' . ($object->can('Name') ? $object->Name : $object->id);
  };
  my $templates = $every->('Templates');
  while (my $one = $templates->Next) {
    $told->('templates', { Scope => $one->Queue ? 'queue: ' . $one->QueueObj->Name : 'everything',
      map { $_ => $one->$_ } qw(id Name Description Type Content) });
  }
  my $scrips = $every->('Scrips');
  while (my $one = $scrips->Next) {
    my (@on, $stage);
    my $added = RT::ObjectScrips->new(RT->SystemUser);
    $added->LimitToScrip($one->id);
    while (my $link = $added->Next) {
      my $queue = RT::Queue->new(RT->SystemUser);
      $queue->Load($link->ObjectId) if $link->ObjectId;
      push @on, $link->ObjectId ? 'queue: ' . $queue->Name : 'everything';
      $stage ||= $link->Stage;
    }
    $told->('scrips', { Scopes => [sort @on], Stage => $stage, Condition => $one->ConditionObj->Name,
      Action => $one->ActionObj->Name, Template => $one->Template, map { $_ => $one->$_ }
      qw(id Description Disabled CustomIsApplicableCode CustomPrepareCode CustomCommitCode) });
  }
  my $rights = $every->('ACL');
  while (my $one = $rights->Next) {
    my $principal = $one->PrincipalObj;
    my $group = $principal->Object;
    my ($domain, $name) = ($group->Domain, $group->Name);
    my $holder = $domain eq 'SystemInternal' ? "system: $name" : $domain eq 'UserDefined' ? "group: $name"
      : $domain =~ /-Role$/ ? "role: $name" : undef;
    if ($domain eq 'ACLEquivalence') {
      my $who = RT::User->new(RT->SystemUser);
      $who->Load($group->Instance);
      $holder = $who->Name =~ /^(?:RT_System|Nobody)$/ ? undef : $person->($who);
      next unless $holder;  # built in
    }
    my $on = $scope->($one->ObjectType, $one->Object);
    next unless $on;  # what it was given on is gone
    $told->('rights', { id => $one->id, Holder => $holder || "$domain: $name", Right => $one->RightName, Scope => $on });
  }
  my $searches = $every->('Attributes');
  while (my $one = $searches->Next) {
    next unless $one->Name eq 'SavedSearch' or $one->Name =~ /^Search - /;
    my $content = $one->Content;
    my $on = $scope->($one->ObjectType, $one->Object);
    next unless $on and ref $content eq 'HASH';
    my $name = $one->Name eq 'SavedSearch' ? $one->Description : $one->Name;
    my %more = %$content;
    delete @more{qw(Query Format OrderBy Order)};
    delete $more{SearchType} if ($more{SearchType} // '') eq 'Ticket';  # what change.pl adds by itself
    $told->('searches', { id => $one->id, Name => $name, Scope => $on, More => $json->encode(\%more),
      map { $_ => $content->{$_} } qw(Query Format OrderBy Order) });
  }
}); 1;
